"""torch-fidelity's Inception network with random weights."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor


def random_weights() -> dict[str, Tensor]:
    """Of the network as it is before it loads any."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Fresh(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict, strict=True, assign=False):
            return None

    torch.manual_seed(0)
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return Fresh("inception", ["2048"], nothing).state_dict()
