"""`textdiff plan`: what it predicts beside what a training holds, for every kind of training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.helpers.command import python, textdiff
from textdiff.commands.cli import run
from textdiff.errors import TextdiffError, UsageError

PEAK = (
    "import sys; from textdiff.commands.cli import run; from textdiff.memory import peak_bytes;"
    "run(sys.argv[2:]); open(sys.argv[1], 'w').write(str(peak_bytes()))"
)
WIDE = ["--unet.block-channels", "16", "32", "--unet.head-dim", "16", "--data.image-size", "32"]


def planned(out: Path, *words: str | Path) -> dict:
    """What `textdiff plan` writes."""
    run(["plan", *map(str, words), "--json", str(out)])
    return json.loads(out.read_text())


@pytest.fixture
def unet_flags(shapes, configs, tiny_clip) -> list[str]:
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    return list(map(str, flags))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks of steps are Linux's")
def test_a_training_holds_what_was_predicted(unet_flags, tmp_path, capsys):
    """Within 15%, though most of it grows with the batch, which is 8 times that measured."""
    flags = [*unet_flags, *WIDE, "--train.batch-size", "96"]
    plan = planned(tmp_path / "plan.json", *flags)
    (device,) = plan["devices"]
    parts = {part["name"]: part["bytes"] for part in device["parts"]}
    assert sum(parts.values()) == pytest.approx(device["needed"]["value"])
    growing = next(size for name, size in parts.items() if name.startswith("activations"))
    assert growing > 0.4 * device["needed"]["value"]
    assert parts["optimizer"] == pytest.approx(2 * parts["weights"], rel=0.01)
    printed = capsys.readouterr().out
    assert "largest batch" in printed and "pictures/s, measured" in printed

    command = ["train", *flags, "--train.steps", "3", "--run-dir", str(tmp_path / "run")]
    done = python("-c", PEAK, tmp_path / "peak", *command)
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "peak").read_text()) == pytest.approx(
        device["needed"]["value"], rel=0.15
    )


@pytest.mark.slow
def test_gpus_are_planned_for_without_data(unet_flags, tmp_path, capsys):
    flags = [*unet_flags, "--train.precision", "bf16", "--data-images", "1000000"]
    words = ["--gpu", "l4", "h100", "--gpu-memory", "12", "--gpus", "2", "--images", "1e6"]
    plan = planned(tmp_path / "plan.json", *flags, *words)
    small, large, unnamed = plan["devices"]
    assert small["needed"] == large["needed"] == unnamed["needed"]
    assert small["largest_batch"] < large["largest_batch"]
    assert large["speed"]["value"] / small["speed"]["value"] == pytest.approx(989 / 121)
    assert small["days"]["value"] == pytest.approx(1e6 / small["speed"]["value"] / 86400)
    assert unnamed["speed"] is None
    pixels = next(part for part in plan["disk"] if part["name"].startswith("resized"))
    assert pixels["bytes"] == 3 * 16**2 * 1_000_000
    printed = capsys.readouterr().out
    assert "noise stands in for the pictures" in printed and "may not fit" not in printed


@pytest.mark.slow
def test_a_training_that_cannot_start_cannot_be_planned(unet_flags, tmp_path):
    """With its own message and exit code."""
    done = textdiff("plan", *unet_flags, "--data.source", tmp_path / "nowhere")
    assert done.returncode == 3
    assert "nowhere" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    with pytest.raises(TextdiffError, match=r"unet\.cross_attention_dim is 5") as raised:
        run(["plan", *unet_flags, "--unet.cross-attention-dim", "5"])
    assert raised.value.exit_code == 2


def test_data_that_nothing_stands_in_for(unet_flags, tmp_path):
    with pytest.raises(UsageError, match="--embeddings belong to real pictures"):
        run(["plan", *unet_flags, "--embeddings", "e.safetensors", "--data-images", "10"])


def test_help_lists_the_settings_of_plan_and_training(capsys):
    for words, flag in (([], "--unet.patch-size"), (["--task", "train-vae"], "--loss.kl-weight")):
        with pytest.raises(SystemExit):
            run(["plan", *words, "--help"])
        printed = capsys.readouterr().out
        assert "--gpu-memory" in printed and flag in printed
