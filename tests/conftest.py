"""What several tests share: golden numbers, a small captioned image folder, tiny configs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import torch
from PIL import Image, ImageDraw

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# said outright: tests expect the same bits from two processes, and "there is cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["ACCELERATE_USE_CPU"] = "true"

# how long an example takes depends on the machine, and on what else it does
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]
COLOURS = {"red": "#e02020", "green": "#20b020", "blue": "#2040e0", "yellow": "#e8d020"}
SHAPES = ("circle", "square", "triangle", "cross")

# precision "no": "auto" times two products, so that two runs could differ
TINY_CLIP = """
clip:
  image: {image_size: 16, patch_size: 8, width: 32, heads: 2, layers: 1}
  text: {context_length: 12, width: 32, heads: 2, layers: 1}
  embed_dim: 32
train: {steps: 4, batch_size: 8, warmup_steps: 1, log_every: 1, eval_every: 4, precision: "no"}
data: {image_size: 16, min_side: 4}
"""
TINY_NOISED_CLIP = """
train: {batch_size: 8, warmup_steps: 1, log_every: 1, eval_every: 4, precision: "no", lr: 1.0e-3}
data: {min_side: 4}
"""
TINY_UNET = """
unet:
  block_channels: [16, 32]
  attention: [false, true]
  layers_per_block: 1
  head_dim: 16
  norm_groups: 8
schedule: {name: cosine, num_timesteps: 100}
train:
  steps: 6
  batch_size: 4
  warmup_steps: 1
  log_every: 1
  eval_every: 3
  checkpoint_every: 2
  lr: 1.0e-3
  precision: "no"
preview: {num_prompts: 2, num_steps: 2}
eval_images: 4
data: {image_size: 16, min_side: 4, max_bad_fraction: 0.5}
"""


def golden(name: str) -> dict:
    """A file of tests/golden, its cases by id."""
    content = json.loads((ROOT / "tests" / "golden" / f"{name}.json").read_text())
    return {**content, "by_id": {case["id"]: case for case in content["cases"]}}


def schedule_of(inputs: dict):
    """The NoiseSchedule that a golden case names."""
    from textdiff.diffusion import NoiseSchedule, ScheduleConfig

    config = ScheduleConfig(name=inputs["schedule"], num_timesteps=inputs["num_train_timesteps"])
    return NoiseSchedule.from_config(config)


def draw_shape(colour: str, shape: str, side: int = 16) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    pen, box = ImageDraw.Draw(image), (3, 3, side - 4, side - 4)
    if shape == "circle":
        pen.ellipse(box, COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, COLOURS[colour])
    elif shape == "triangle":
        pen.polygon([(side // 2, 3), (3, side - 4), (side - 4, side - 4)], COLOURS[colour])
    else:
        pen.line((3, 3, side - 4, side - 4), COLOURS[colour], 3)
        pen.line((3, side - 4, side - 4, 3), COLOURS[colour], 3)
    return image


def write_shapes(folder: Path) -> Path:
    """16 shapes with captions; the blue ones are val, the yellow ones test."""
    with_split = {"blue": "val", "yellow": "test"}
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for colour in COLOURS:
        for shape in SHAPES:
            name = f"{colour}-{shape}.png"
            draw_shape(colour, shape).save(folder / name)
            row = {"file_name": name, "text": f"{colour} {shape}"}
            lines.append(json.dumps({**row, "split": with_split.get(colour, "train")}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def textdiff(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    """Runs the command line in a process of its own, one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "textdiff", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=options.pop("timeout", 900),
        check=False,
        **options,
    )


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def configs(tmp_path_factory) -> Path:
    """A folder with clip.yaml, noised_clip.yaml and unet.yaml, small enough to train in seconds."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "clip.yaml").write_text(TINY_CLIP)
    (folder / "noised_clip.yaml").write_text(TINY_NOISED_CLIP)
    (folder / "unet.yaml").write_text(TINY_UNET)
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory, shapes, configs) -> Path:
    """A run folder of `textdiff train-clip`."""
    from textdiff.commands.cli import run

    folder = tmp_path_factory.mktemp("runs") / "clip"
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    run(["train-clip", *flags, "--run-dir", str(folder)])
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, shapes, configs, tiny_clip) -> Path:
    """A run folder of `textdiff train`."""
    from textdiff.commands.cli import run

    folder = tmp_path_factory.mktemp("runs") / "unet"
    flags = ["--config", str(configs / "unet.yaml"), "--data.source", str(shapes)]
    run(["train", *flags, "--clip", str(tiny_clip), "--run-dir", str(folder)])
    return folder


@pytest.fixture(scope="session")
def noised_flags(shapes, configs, tiny_clip, tiny_run) -> list[str]:
    """Of `textdiff finetune-clip`: all but --run-dir."""
    flags = ["--config", configs / "noised_clip.yaml", "--data.source", shapes]
    flags += ["--init", tiny_clip, "--noise.schedule-from", tiny_run]
    return list(map(str, flags))


@pytest.fixture
def run_copy(tiny_run, tmp_path) -> Path:
    """A finished run to be spoilt."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copy"))


@pytest.fixture
def pipe(tiny_run):
    from textdiff import TextToImage

    return TextToImage.load(tiny_run)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Bits depend on how a sum is split among threads; and small tests are quicker with one.

    For the whole session, so that it holds for `tiny_clip` and `tiny_run` too.
    """
    torch.set_num_threads(1)
