"""The noised CLIP and the clean one that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.clip import ClipModel, NoisedClip
from textdiff.errors import CheckpointError, UsageError


@dataclass(frozen=True)
class ClipPair:
    """Both frozen. clean_name: where the clean one came from."""

    noised: NoisedClip
    clean: ClipModel
    clean_name: str


def load_pair(noised_name: str, clean_name: str | None, device: str = "cpu") -> ClipPair:
    """Both CLIPs, frozen, on `device`; without a `clean_name`, the one that the noised CLIP was
    fine-tuned from.

    Raises:
        UsageError: the noised CLIP does not say what it was fine-tuned from.
        CheckpointError: no such CLIP, or the one it was fine-tuned from has changed since.
    """
    noised = NoisedClip.load(noised_name).freeze()
    name = clean_name or noised.config.source
    if name is None:
        raise UsageError(f"{noised_name} does not say what it was fine-tuned from; give --clean")
    clean = ClipModel.load(name).freeze()
    if clean_name is None:
        check_source(noised, clean.weights_hash())
    return ClipPair(noised.to(device), clean.to(device), name)


def check_source(noised: NoisedClip, weights: str) -> None:
    """Raises CheckpointError if the noised CLIP was fine-tuned from other weights than these."""
    config = noised.config
    if config.source_weights != weights:
        raise CheckpointError(
            f"{config.source} holds weights {weights} now, the noised CLIP was fine-tuned from "
            f"{config.source_weights}; name that one with --clean"
        )
