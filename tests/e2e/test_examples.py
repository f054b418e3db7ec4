"""The examples do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.paths import ROOT
from tests.helpers.ui import served_here
from tests.helpers.warm import python
from textdiff import TextToImage
from textdiff.app.settings import UiSettings

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def example(monkeypatch, tmp_path):
    """Runs an example as `python examples/NAME ARGUMENTS` does, in an empty folder."""

    def run(name: str, *arguments: str | Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")

    return run


def pixels(picture: Path | Image.Image) -> np.ndarray:
    image = Image.open(picture) if isinstance(picture, Path) else picture
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_run_by_a_test(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    assert path.name in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.slow
def test_training(shapes, tiny_clip, tmp_path):
    done = python(
        *("examples/train_from_python.py", shapes, tiny_clip, tmp_path / "run", "--steps", "3")
    )
    assert done.returncode == 0, done.stderr
    assert TextToImage.load(tmp_path / "run").step == 3
    assert len(list((tmp_path / "run").glob("*-*.png"))) == 4


def test_api_client(example, tiny_run, tmp_path, capsys):
    settings = UiSettings(model=[str(tiny_run)], gallery=str(tmp_path / "gallery"))
    with served_here(settings) as server:
        example("api_client.py", server, "red circle", "--num-images", "2", "--num-steps", "3")
        assert "done 1 total 3" in capsys.readouterr().out
    kept = [path.read_bytes() for path in sorted((tmp_path / "gallery").glob("*.png"))]
    assert [(tmp_path / f"api-{k}.png").read_bytes() for k in range(2)] == kept


def test_own_sampler(example, tiny_run, tmp_path, pipe, capsys):
    example("own_sampler.py", tiny_run, "red circle")
    assert len(capsys.readouterr().out.splitlines()) == 25
    expected = pipe("red circle", sampler="ddim", num_steps=25, guidance_scale=1.0, seed=0)
    assert np.abs(pixels(tmp_path / "own_sampler.png") - pixels(expected[0])).max() <= 1


def test_own_guidance(example, tiny_run, tmp_path, pipe):
    (plain,) = pipe("red circle", num_steps=25, guidance_scale=1.0, seed=0)
    blueness = []
    for weight in ("0", "0.3", "0.6"):
        example("own_guidance.py", tiny_run, "red circle", weight)
        drawn = pixels(tmp_path / "own_guidance.png")
        if weight == "0":
            assert np.abs(drawn - pixels(plain)).max() <= 1
        blueness.append((drawn[..., 2] - drawn[..., :2].mean(-1)).mean())
    assert blueness[0] < blueness[1] < blueness[2]
