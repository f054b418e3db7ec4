"""`textdiff sample`: its files, and that what they hold draws the pictures again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.commands.cli import run
from textdiff.pipeline.config import SamplingConfig

STRANGE = [
    "../../etc/passwd",
    "he said \"red\" \\ 'blue'",
    "🍎 a red apple",
    "two\nlines",
    "ß%s{0}",
]


@pytest.fixture
def draw(tiny_run, tmp_path):
    """Draws in three steps, as the flags say; gives the folder."""
    count = iter(range(100))

    def into(*flags: str | Path) -> Path:
        out = tmp_path / f"out{next(count)}"
        usual = ["--model", tiny_run, "--num-steps", "3", "--out", out]
        run(["sample", *map(str, [*usual, *flags])])
        return out

    return into


def pixels(folder: Path) -> np.ndarray:
    """(n, H, W, 3) int of the pictures, in order."""
    files = sorted(folder.glob("[0-9]*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)


def metadata(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        return picture.text


def test_files_and_what_draws_them_again(draw, tiny_run):
    flags = ["--seed", "3", "--guidance-scale", "2.5", "--negative-prompt", "blue"]
    out = draw("--prompt", "red circle", *STRANGE, "--num-images", "2", "--columns", "2", *flags)
    prompts = [prompt for prompt in ["red circle", *STRANGE] for _ in range(2)]
    names = [f"{k:05d}-seed3.png" for k in range(len(prompts))]
    assert sorted(path.name for path in out.iterdir()) == [*names, "grid.png"]
    texts = [metadata(out / name) for name in names]
    assert [text["prompt"] for text in texts] == prompts
    assert [json.loads(text["textdiff"])["prompt"] for text in texts] == prompts

    known = json.loads(texts[1]["textdiff"])
    flags = (SamplingConfig.model_fields.keys() | SamplingConfig.short_names) - {"clip_guidance"}
    settings = {flag: known[flag] for flag in flags}
    again = TextToImage.load(tiny_run)([known["prompt"]] * 2, **settings)[known["index"]]
    assert np.array_equal(np.asarray(again), pixels(out)[1])
    assert known["model"]["step"] == 6
    with Image.open(out / names[0]) as picture, Image.open(out / "grid.png") as grid:
        assert (picture.size, picture.mode) == ((16, 16), "RGB")
        assert 2 * 96 < grid.width < 3 * 96
        assert grid.height > 6 * 96


def test_pictures_given_as_files(draw, shapes, tiny_clip, tmp_path):
    """The mask keeps the left half; CLIP guides the right half towards another picture."""
    init, mask = shapes / "green-square.png", tmp_path / "mask.png"
    right = Image.new("L", (16, 16), 0)
    right.paste(255, (8, 0, 16, 16))
    right.save(mask)
    towards = shapes / "red-cross.png"
    flags = ["--prompt", "red circle", "--init-image", init, "--mask", mask]
    guided = draw(
        *flags, "--clip-guidance-scale", "8", "--guide", tiny_clip, "--clip-image", towards
    )
    plain = draw(*flags)
    kept = np.asarray(Image.open(init)).astype(int)[:, :8]
    assert np.array_equal(pixels(guided)[0, :, :8], kept)
    assert not np.array_equal(pixels(guided)[0, :, 8:], np.asarray(Image.open(init))[:, 8:])

    clip = ClipModel.load(tiny_clip).freeze()
    pictures = [pixels(guided)[0], pixels(plain)[0], np.asarray(Image.open(towards))]
    stack = torch.stack([torch.tensor(p, dtype=torch.uint8).movedim(2, 0) for p in pictures])
    features = F.normalize(image_features(clip, stack), dim=-1)
    with_guidance, without = features[:2] @ features[2]
    assert with_guidance > without

    known = json.loads(metadata(guided / "00000-seed0.png")["textdiff"])
    assert (known["init_image"], known["mask"]) == (str(init), str(mask))
    assert known["clip_image"] == str(towards)
    assert known["clip_guide_weights"] == clip.weights_hash()
