"""Whole commands in processes of their own, and configs small enough to train in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.helpers.paths import ROOT
from textdiff.commands.cli import COMMANDS
from textdiff.config import Settings, parse_flags

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
TINY_VAE = """
vae: {block_channels: [8, 8, 16], latent_channels: 2, norm_groups: 4}
train:
  steps: 6
  batch_size: 4
  warmup_steps: 1
  log_every: 1
  eval_every: 3
  checkpoint_every: 2
  precision: "no"
eval_images: 4
data: {image_size: 16, min_side: 4, max_bad_fraction: 0.5}
"""
TINY_PRIOR = """
transformer: {width: 16, heads: 2, layers: 1}
schedule: {name: cosine, num_timesteps: 100}
codes: {num_components: 3, num_buckets: 4, num_dots: 2}
preview: {num_steps: 2}
train:
  steps: 4
  batch_size: 4
  warmup_steps: 1
  log_every: 1
  eval_every: 4
  checkpoint_every: 2
  precision: "no"
"""


def settings_of(command: Sequence[str | Path]) -> Settings:
    """What a command line sets, `command` being all that is typed after `textdiff`.

    Raises:
        UsageError: as the command would, before it loads anything.
    """
    words = list(map(str, command))
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    schema = getattr(
        import_module(f"textdiff.commands.{COMMANDS[name].module}"), COMMANDS[name].settings
    )
    return parse_flags(schema, words[len(name.split()) :], name, "")


def textdiff(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    """Runs the command line in a process of its own."""
    return python("-m", "textdiff", *arguments, **options)


def python(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    """Runs this Python in a process of its own: `python("scripts/train.py", "--help")`."""
    usual = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 900, "check": False}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, **{**usual, **options}
    )


def launch(processes: int, script: str, flags: Sequence[str], hf_home: Path) -> str:
    """What `accelerate launch --cpu --num_processes N scripts/SCRIPT FLAGS` prints.

    hf_home: an empty folder, so that the user's own accelerate config is not read.
    """
    done = python(
        *("-m", "accelerate.commands.launch", "--cpu"),
        *("--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no"),
        *("--dynamo_backend", "no", "--main_process_port", "0", f"scripts/{script}", *flags),
        env={"HF_HOME": str(hf_home)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
