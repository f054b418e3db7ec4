"""Small files that ask for much: refused in one line, before memory is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command import python
from tests.helpers.damage import accept, forget
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.errors import TextdiffError
from textdiff.pipeline.prior import Prior

# reads what is named, and says by how much the most memory that the process held grew, in MB
GREW = """
import resource, sys
import torch, textdiff.pipeline.prior
from textdiff import TextToImage
from textdiff.errors import TextdiffError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

folder = sys.argv[1]
torch.zeros(1) + 1
before = peak()
try:
    TextToImage.load(folder, "cpu")
except TextdiffError as error:
    print(error)
print(peak() - before)
"""


@pytest.fixture
def model(tiny_run, tmp_path) -> Path:
    """An exported model."""
    TextToImage.load(tiny_run).save(tmp_path / "model")
    return tmp_path / "model"


def change(file: Path, before: str, after: str) -> None:
    """By whoever made the model: its manifest says so too."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    accept(file.parent)


@pytest.mark.slow
def test_a_wide_network_takes_no_more_memory_than_its_weights(model):
    """Channels of 16,384 and 32,768 took 4.6 GB before they were compared with the weights."""
    change(model / "model.yaml", "- 16\n  - 32\n", "- 16384\n  - 32768\n")
    done = python("-c", GREW, model)
    *said, grew = done.stdout.splitlines()
    assert "the model's config asks for" in said[0], done.stderr
    assert int(grew) < 300


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- 16\n  - 32\n", "- 16\n  - 999999999\n"),
        ("layers_per_block: 1", "layers_per_block: 1000000"),
        ("transformer_layers: 1", "transformer_layers: 1000000"),
        ("num_timesteps: 100", "num_timesteps: 1000000000000"),
        ("num_timesteps: 100", f"num_timesteps: {'1' * 5000}"),
        ("num_timesteps: 100", f"num_timesteps: {'[' * 5000}"),
        ("text_layers:", "a: &a [x, x]\nb: &b [*a, *a]\nmore: [*b, *b]\ntext_layers:"),
    ],
)
def test_settings_of_a_model(model, before, after):
    change(model / "model.yaml", before, after)
    with pytest.raises(TextdiffError, match=r"model\.yaml"):
        TextToImage.load(model, "cpu")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", 1_000_000),
        ("width", 2**40),
        ("vocab_size", 10**12),
        ("context_length", 10**12),
        ("context_length", float("nan")),
    ],
)
def test_settings_of_a_clip(tiny_clip, tmp_path, key, value):
    folder = forget(Path(shutil.copytree(tiny_clip, tmp_path / "clip")))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"][key] = value
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(TextdiffError, match=key):
        ClipModel.load(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, f'{{"model_cfg": {"1" * 5000}}}'], ids=len)
def test_json_of_a_clip(tiny_clip, tmp_path, content):
    folder = forget(Path(shutil.copytree(tiny_clip, tmp_path / "clip")))
    (folder / "open_clip_config.json").write_text(content)
    with pytest.raises(TextdiffError, match=r"open_clip_config\.json cannot be read as JSON"):
        ClipModel.load(folder)


@pytest.mark.parametrize("timesteps", ["10000000000000", "many", "-1", "1.5"])
def test_settings_of_a_noised_clip(noised_with_clean, tmp_path, timesteps):
    folder = Path(shutil.copytree(noised_with_clean, tmp_path / "clip"))
    change(folder / "noised.yaml", "num_timesteps: 100", f"num_timesteps: {timesteps}")
    with pytest.raises(TextdiffError, match="num_timesteps"):
        NoisedClip.load(folder)


@pytest.mark.parametrize("key", ["width", "layers", "num_buckets", "num_components"])
def test_settings_of_a_prior(tiny_priors, tmp_path, key):
    prior = Prior.load(tiny_priors / "autoregressive")
    prior.save(tmp_path / "prior")
    value = getattr(prior.config.transformer, key, None) or getattr(prior.config.codes, key)
    change(tmp_path / "prior" / "prior.yaml", f"{key}: {value}\n", f"{key}: 1000000000\n")
    with pytest.raises(TextdiffError, match=r"prior\.yaml"):
        Prior.load(tmp_path / "prior")


DECODE = """
import io, resource, sys
from PIL import Image
from textdiff.data.config import DataConfig
from textdiff.data.decode import decode_image

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
decode_image(sys.argv[1], DataConfig(image_size=64))
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGBA", "I;16", "P"])
def test_a_picture_just_below_the_limit_of_pixels_takes_less_than_a_gigabyte(tmp_path, mode):
    image = Image.new(mode, (9400, 9400))
    options = {"transparency": 0} if mode == "P" else {}
    image.save(tmp_path / "bomb.png", compress_level=9, **options)
    assert (tmp_path / "bomb.png").stat().st_size < 500_000
    done = python("-c", DECODE, tmp_path / "bomb.png")
    assert int(done.stdout) < 1024, done.stderr
