"""`textdiff sample`: files, their metadata, and what may and may not change a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.commands.sample import SampleSettings, read_prompts
from textdiff.devices import pick_device
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
    """Draws two pictures of "red circle" in three steps, or as the flags say; gives the folder."""
    count = iter(range(100))

    def into(*flags: str) -> Path:
        out = tmp_path / f"out{next(count)}"
        usual = ["--num-steps", "3", "--num-images", "2", "--prompt", "red circle"]
        run(["sample", "--model", str(tiny_run), *usual, *flags, "--out", str(out)])
        return out

    return into


def pixels(folder: Path) -> np.ndarray:
    """(n, H, W, 3) int of the pictures, in order."""
    files = sorted(folder.glob("[0-9]*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)


def metadata(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        return picture.text


def test_files_are_named_by_number_and_seed(draw):
    out = draw("--seed", "7")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["00000-seed7.png", "00001-seed7.png", "grid.png"]
    with Image.open(out / "00000-seed7.png") as picture:
        assert (picture.size, picture.mode) == ((16, 16), "RGB")


def test_grid_shows_every_picture(draw):
    with Image.open(draw("--num-images", "3", "--columns", "2") / "grid.png") as grid:
        assert 2 * 96 < grid.width < 3 * 96
        assert 2 * 96 < grid.height < 3 * 96


def test_metadata_hold_what_draws_the_picture_again(draw, tiny_run):
    out = draw("--seed", "3", "--guidance-scale", "2.5", "--negative-prompt", "blue")
    text = metadata(out / "00001-seed3.png")
    known = json.loads(text["textdiff"])
    settings = {name: known[name] for name in SamplingConfig.model_fields}
    pipe = TextToImage.load(tiny_run)
    again = pipe([known["prompt"]] * 2, **settings)[known["index"]]
    assert np.array_equal(np.asarray(again), pixels(out)[1])
    assert text["prompt"] == known["prompt"] == "red circle"
    assert known["model"]["step"] == 6


def test_same_seed_gives_the_same_bits_and_another_does_not(draw):
    first = pixels(draw())
    assert np.array_equal(first, pixels(draw()))
    assert not np.array_equal(first, pixels(draw("--seed", "1")))
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_batch_size_changes_no_picture(draw, sampler):
    """Sums in another order may round one grey level apart."""
    flags = ["--num-images", "4", "--sampler", sampler]
    difference = pixels(draw(*flags, "--batch-size", "1")) - pixels(
        draw(*flags, "--batch-size", "4")
    )
    assert np.abs(difference).max() <= 1


def test_pictures_of_a_longer_job_start_with_those_of_a_shorter(draw):
    longer, shorter = pixels(draw("--num-images", "3")), pixels(draw("--num-images", "1"))
    assert np.abs(longer[:1] - shorter).max() <= 1


def test_init_image_and_mask_of_files(draw, shapes, tmp_path):
    init, mask = shapes / "green-square.png", tmp_path / "mask.png"
    Image.new("L", (16, 16), 0).save(mask)
    out = draw("--init-image", str(init), "--mask", str(mask), "--num-images", "1")
    assert np.array_equal(pixels(out)[0], np.asarray(Image.open(init)).astype(int))
    known = json.loads(metadata(out / "00000-seed0.png")["textdiff"])
    assert (known["init_image"], known["mask"]) == (str(init), str(mask))


def test_strength_of_an_init_image(draw, shapes):
    init = shapes / "green-square.png"
    weak, strong = (
        pixels(draw("--init-image", str(init), "--strength", strength, "--num-steps", "10"))
        for strength in ("0.1", "0.9")
    )
    picture = np.asarray(Image.open(init)).astype(int)
    assert np.abs(weak - picture).mean() < np.abs(strong - picture).mean()


def test_lists_of_timesteps(draw):
    """The trailing grid of three steps, and guidance at all of them."""
    listed = draw("--timesteps", "99", "66", "32", "--guidance-interval", "0", "99")
    assert np.array_equal(pixels(listed), pixels(draw()))
    known = json.loads(metadata(listed / "00000-seed0.png")["textdiff"])
    assert (known["timesteps"], known["guidance_interval"]) == ([99, 66, 32], [0, 99])


def test_negative_prompt_and_guidance_change_the_picture(draw):
    usual = pixels(draw())
    assert not np.array_equal(usual, pixels(draw("--negative-prompt", "green square")))
    assert not np.array_equal(usual, pixels(draw("--guidance-scale", "9")))


def test_prompts_of_any_characters(draw):
    out = draw("--num-images", "1", "--prompt", *STRANGE)
    files = sorted(out.glob("[0-9]*.png"))
    expected = ["red circle", *STRANGE]
    assert [path.name for path in files] == [f"{k:05d}-seed0.png" for k in range(len(expected))]
    assert [metadata(path)["prompt"] for path in files] == expected
    assert [json.loads(metadata(path)["textdiff"])["prompt"] for path in files] == expected


def test_prompts_of_flags_then_of_a_file(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("red apple\n\n  blue heart \n", encoding="utf-8")
    settings = SampleSettings(model="any", prompt=["first", ""], prompt_file=str(file))
    assert read_prompts(settings) == ["first", "", "red apple", "blue heart"]


def test_device_that_is_there():
    assert pick_device("auto") in ("cpu", "mps", "cuda")
    assert pick_device("cpu") == "cpu"
    assert pick_device("cpu:0") == "cpu:0"


def test_guided_by_a_clip(draw, tiny_clip, shapes):
    flags = ["--clip-guidance-scale", "2", "--guide", str(tiny_clip)]
    towards = ["--clip-image", str(shapes / "green-square.png")]
    guided = draw(*flags, *towards)
    assert not np.array_equal(pixels(guided), pixels(draw(*flags)))
    known = json.loads(metadata(guided / "00000-seed0.png")["textdiff"])
    assert (known["clip_guide"], known["clip_guidance_scale"]) == (str(tiny_clip), 2)
    assert known["clip_image"] == towards[1]
    assert known["clip_guide_weights"] == ClipModel.load(tiny_clip).weights_hash()
