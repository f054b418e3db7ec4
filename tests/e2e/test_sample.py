"""`textdiff sample`: its files, and that what they hold draws the pictures again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.helpers.noised import noised_clip
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.commands.cli import run
from textdiff.data.picture_files import save_png
from textdiff.errors import CheckpointError, UsageError
from textdiff.pipeline.config import SECTIONS, SamplingConfig

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
    flags = (SamplingConfig.model_fields.keys() | SamplingConfig.short_names) - {*SECTIONS}
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
        *flags, "--clip-guidance-scale", "20", "--guide", tiny_clip, "--clip-image", towards
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


def test_the_best_of_several_is_drawn_again(draw, tiny_clip, tmp_path):
    """The PNG says who chose it and what that cost; the judge must still be there."""
    judge = tmp_path / "judge"
    noised = noised_clip(tiny_clip)
    noised.save(judge)
    chosen = ["--best-of", "4", "--judge", judge, "--keep-after", "0.3", "0.6"]
    out = draw("--prompt", "red circle", "green cross", *chosen)
    known = json.loads(metadata(out / "00001-seed0.png")["textdiff"])
    assert (known["best_of"], known["judge"], known["keep_after"]) == (4, str(judge), [0.3, 0.6])
    assert known["judge_weights"] == noised.weights_hash()
    # of three steps four candidates take the first, two the next, one the last; CFG twice
    assert known["evaluations"] == {"network": 2 * (4 + 2 + 1), "guide": 0, "judge": 4 + 2}

    run(["sample", "--from", str(out / "00001-seed0.png"), "--out", str(tmp_path / "again")])
    assert np.array_equal(pixels(tmp_path / "again")[0], pixels(out)[1])
    shutil.rmtree(judge)
    with pytest.raises(UsageError, match=r"judge .* is no folder here; give --judge"):
        run(["sample", "--from", str(out / "00001-seed0.png"), "--out", str(tmp_path / "gone")])


# Folders that hold pictures already


def test_numbers_go_on_and_nothing_is_overwritten(tiny_run, tmp_path, capsys):
    """Four pictures of another job were stale, two of this one overwritten."""
    flags = ["--model", str(tiny_run), "--num-steps", "2", "--out", str(tmp_path)]
    run(["sample", *flags, "--prompt", "red circle", "--num-images", "4"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    run(["sample", *flags, "--prompt", "green cross", "--num-images", "2"])
    assert capsys.readouterr().out == (
        f"2 pictures from number 00004 and grid-00004.png in {tmp_path}\n"
    )
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: after[name] for name in before} == before
    new = ["00004-seed0.png", "00005-seed0.png", "grid-00004.png"]
    assert sorted(after.keys() - before) == new
    assert json.loads(metadata(tmp_path / new[0])["textdiff"])["index"] == 0


def test_picture_k_alone(draw):
    together = draw("--prompt", "red circle", "--num-images", "3", "--batch-size", "1")
    alone = draw("--prompt", "red circle", "--first", "2")
    assert sorted(path.name for path in alone.iterdir()) == ["00002-seed0.png", "grid.png"]
    assert np.array_equal(pixels(alone)[0], pixels(together)[2])


# Settings come back


@pytest.fixture
def drawn_before(draw, shapes, tiny_clip, tmp_path):
    """A picture drawn with most of what there is: fourth of six, second of its batch."""
    init = tmp_path / "init.png"
    shutil.copy(shapes / "green-square.png", init)
    mask = tmp_path / "mask.png"
    right = Image.new("L", (16, 16), 0)
    right.paste(255, (8, 0, 16, 16))
    right.save(mask)
    flags = ["--seed", "3", "--sampler", "ddpm", "--guidance-scale", "2.5", "--batch-size", "2"]
    flags += ["--negative-prompt", "blue", "--clip-guidance-scale", "2", "--guide", tiny_clip]
    out = draw("--prompt", "red circle", *STRANGE, *flags, "--init-image", init, "--mask", mask)
    return out / "00003-seed3.png"


def again(picture: Path, out: Path, *flags: str | Path) -> Path:
    """Draws with the settings in `picture`; gives the one picture."""
    run(["sample", "--from", *map(str, [picture, "--out", out, *flags])])
    (file,) = out.glob("[0-9]*.png")
    return file


def same(first: Path, second: Path) -> bool:
    with Image.open(first) as a, Image.open(second) as b:
        return np.array_equal(np.asarray(a), np.asarray(b))


def test_a_picture_is_drawn_again_to_the_bit(drawn_before, tmp_path):
    copy = again(drawn_before, tmp_path / "again")
    assert copy.name == drawn_before.name
    assert same(copy, drawn_before)
    assert metadata(copy) == metadata(drawn_before)


def test_the_same_bits_take_as_many_threads_and_a_variation_those_that_are_free(
    drawn_before, tmp_path, monkeypatch
):
    taken = []
    monkeypatch.setattr("textdiff.threads.settle_threads", lambda *given: taken.append(given))
    again(drawn_before, tmp_path / "again")
    again(drawn_before, tmp_path / "varied", "--seed", "4")
    assert taken == [("cpu", torch.get_num_threads()), ("cpu", None)]


def test_further_flags_vary_it(drawn_before, tmp_path):
    varied = again(drawn_before, tmp_path / "varied", "--seed", "4")
    then, now = (json.loads(metadata(path)["textdiff"]) for path in (drawn_before, varied))
    assert {key for key in now if now[key] != then[key]} == {"seed", "batch", "row"}
    assert not same(varied, drawn_before)
    other = again(drawn_before, tmp_path / "other", "--prompt", "green cross")
    assert metadata(other)["prompt"] == "green cross"


def test_settings_in_python(drawn_before, pipe):
    (picture,) = pipe(**TextToImage.settings_of(drawn_before))
    with Image.open(drawn_before) as expected:
        difference = np.asarray(picture, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1


def test_pictures_that_changed_or_are_gone(drawn_before, tmp_path):
    init = tmp_path / "init.png"
    Image.new("RGB", (16, 16)).save(init)
    with pytest.raises(UsageError, match=r"init_image .*init.png has changed since"):
        again(drawn_before, tmp_path / "again")
    with pytest.raises(UsageError, match="has changed since"):
        TextToImage.settings_of(drawn_before)
    init.unlink()
    with pytest.raises(UsageError, match=r"init.png is gone; put it back, or give --init-image"):
        again(drawn_before, tmp_path / "again")


def test_weights_that_changed(drawn_before, run_copy, tmp_path):
    """Another step of the same training draws another picture."""
    known = json.loads(metadata(drawn_before)["textdiff"])
    known["model"]["name"] = str(run_copy)
    with Image.open(drawn_before) as picture:
        save_png(picture, tmp_path / "moved.png", known)
    newest = max((run_copy / "checkpoints").iterdir())
    shutil.rmtree(newest)
    with pytest.raises(CheckpointError, match=r"other weights than drew .* give --model"):
        again(tmp_path / "moved.png", tmp_path / "again")
    assert again(tmp_path / "moved.png", tmp_path / "other", "--model", run_copy)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (None, "holds no settings; give a PNG that 'textdiff sample' wrote"),
        ({"sampler": "magic"}, "sampler: Input should be"),
        ({"row": 7}, "settings are damaged"),
        ({"batch": None}, "settings are damaged"),
        ({"threads": 0}, "settings are damaged"),
        ({"threads": "2"}, "settings are damaged"),
        ({"clip_guide": "ViT-L-14/openai"}, "clip_guide ViT-L-14/openai is no folder here"),
    ],
)
def test_pictures_with_nothing_to_draw_from(drawn_before, tmp_path, changes, expected):
    """Anybody may have written them; no name in one is looked up on the network."""
    odd = tmp_path / "odd.png"
    with Image.open(drawn_before) as picture:
        if changes is None:
            picture.convert("RGB").save(odd)
        else:
            save_png(picture, odd, json.loads(picture.text["textdiff"]) | changes)
    with pytest.raises(UsageError, match=expected):
        again(odd, tmp_path / "again")
