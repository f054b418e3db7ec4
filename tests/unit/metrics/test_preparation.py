"""Pictures prepared for a CLIP are what open_clip's own transform makes of them."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import nn

from textdiff.clip import ClipConfig, ClipModel, image_features
from textdiff.clip import source as clip_source
from textdiff.data import DataConfig, open_data
from textdiff.metrics.preparation import as_clip_sees

TWO_LEVELS = 2 / 255


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder of PNGs, square and not, with captions."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = torch.Generator().manual_seed(0)
    for k, (width, height) in enumerate([(64, 64), (64, 64), (96, 64), (64, 80), (128, 64)]):
        coarse = torch.randint(0, 256, (height // 8, width // 8, 3), generator=rng)
        noise = Image.fromarray(coarse.to(torch.uint8).numpy())
        picture = noise.resize((width, height), Image.Resampling.NEAREST)
        picture.filter(ImageFilter.GaussianBlur(1)).save(folder / f"{k}.png")
        (folder / f"{k}.txt").write_text(f"picture {k}")
    return folder


def save_clip(folder: Path, size: int, preprocess: dict) -> Path:
    tower = {"image_size": size, "patch_size": 8, "width": 32, "layers": 2, "heads": 2}
    text = {"context_length": 12, "width": 32, "layers": 1, "heads": 2}
    config = ClipConfig.model_validate({"image": tower, "text": text, "embed_dim": 32})
    cfg = config.to_open_clip()
    module = clip_source.instantiate(cfg, preprocess, seed=0)
    tokenizer = open_clip.SimpleTokenizer(context_length=12)
    clip_source.save(clip_source.Source(module, cfg, tokenizer), folder)
    return folder


def seen(clip: ClipModel, folder: Path, **settings) -> tuple[list[str], torch.Tensor]:
    """Names of the pictures, and what the image tower gets of them, with `settings` of the data."""
    data = open_data(as_clip_sees(DataConfig(source=str(folder), **settings), clip), "all")
    return data.identifiers, clip.encode_image(data.images(range(len(data))), nn.Identity())


def by_open_clip(folder: Path, pictures: Path, names: list[str]) -> torch.Tensor:
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return torch.stack([transform(Image.open(pictures / name)) for name in names])


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [32, 64, 96], ids=["smaller", "equal", "larger"])
def test_a_tower_sees_what_open_clip_shows_it(size, mode, pictures, tmp_path):
    """Of a CLIP that is smaller than the pictures, equal, and larger."""
    folder = save_clip(tmp_path, size, {"resize_mode": mode, "mean": [0.4] * 3, "std": [0.3] * 3})
    names, found = seen(ClipModel.load(folder), pictures)
    expected = by_open_clip(folder, pictures, names)
    torch.testing.assert_close(found, expected, atol=TWO_LEVELS / 0.3, rtol=0)


@pytest.mark.parametrize("size", [32, 64, 96], ids=["smaller", "equal", "larger"])
def test_features_are_open_clips(size, pictures, tmp_path):
    folder = save_clip(tmp_path, size, {})
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    clip = ClipModel.load(folder)
    data = open_data(as_clip_sees(DataConfig(source=str(pictures)), clip), "all")
    found = F.normalize(image_features(clip, data.images(range(len(data)))), dim=-1)
    with torch.no_grad():
        inputs = by_open_clip(folder, pictures, data.identifiers)
        expected = F.normalize(model.eval().encode_image(inputs), dim=-1)
    assert 1 - (found * expected).sum(dim=1).min() < 1e-5


def test_pictures_made_small_first_are_not_what_a_large_clip_sees(pictures, tmp_path):
    """So that the tolerances above can tell the difference."""
    folder = save_clip(tmp_path, 64, {"mean": [0.4] * 3, "std": [0.3] * 3})
    names, found = seen(ClipModel.load(folder), pictures, image_size=32)
    difference = (found - by_open_clip(folder, pictures, names)).abs() * 0.3
    assert difference.amax() > 10 * TWO_LEVELS


def test_what_is_asked_for_stays(tmp_path):
    clip = ClipModel.load(save_clip(tmp_path, 64, {"resize_mode": "squash"}))
    asked = DataConfig(image_size=32, resize="pad")
    assert as_clip_sees(asked, clip).model_dump(include={"image_size", "resize"}) == {
        "image_size": 32,
        "resize": "pad",
    }
    assert as_clip_sees(DataConfig(), clip).resize == "stretch"
