"""ClipConfig: what it accepts, what it says otherwise, and the open_clip config it gives."""

from __future__ import annotations

import open_clip
import pytest

from textdiff.clip import ClipConfig
from textdiff.config import build
from textdiff.errors import UsageError


def test_vit_matches_open_clips_own_config():
    config = ClipConfig.model_validate(
        {
            "embed_dim": 512,
            "image": {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12, "heads": 12},
            "text": {"context_length": 77, "width": 512, "heads": 8, "layers": 12},
        }
    ).to_open_clip()
    known = open_clip.get_model_config("ViT-B-32")
    assert config["text_cfg"] == known["text_cfg"]
    assert config["vision_cfg"] == known["vision_cfg"] | {"head_width": 64}
    assert config["embed_dim"] == known["embed_dim"]


def test_resnet_matches_open_clips_own_config():
    image = {
        "kind": "resnet",
        "image_size": 224,
        "width": 64,
        "heads": 32,
        "resnet_layers": (3, 4, 6, 3),
    }
    config = ClipConfig.model_validate({"image": image}).to_open_clip()
    known = open_clip.get_model_config("RN50")["vision_cfg"]
    assert config["vision_cfg"] == known | {"head_width": 64}


@pytest.mark.parametrize(
    ("flags", "cure"),
    [
        ({"image.width": 100, "image.heads": 3}, "heads 3 must divide the attention width 100; 2"),
        ({"image.image_size": 30}, "image_size 30 must be a multiple of 4 .*; 32 would do"),
        (
            {"image.kind": "resnet", "image.width": 32, "image.heads": 4, "image.image_size": 40},
            "multiple of 32 .*resnet.*; 32 would do",
        ),
        ({"image.kind": "resnet", "image.width": 33, "image.heads": 3}, "width must be even"),
        ({"text.heads": 5}, "heads 5 must divide width 192; 4 would"),
        ({"text.vocab_size": 1000}, "greater than or equal to 49408"),
        ({"image.kind": "convnet"}, "'vit' or 'resnet'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_what_would(flags, cure):
    with pytest.raises(UsageError, match=cure):
        build(ClipConfig, [("flags", flags)])
