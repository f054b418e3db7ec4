"""What is said of a run that is finished: where everything lies, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from textdiff.training.config import TrainConfig
from textdiff.training.exports import exported_files
from textdiff.training.progress import Progress


def lies_where(run: Path, step: int, next_steps: Mapping[str, list[str]]) -> str:
    """Files of the run folder that are there, and commands to go on with.

    Args:
        next_steps: what it does -> arguments of textdiff.
    """
    samples = "pictures as training went on"
    if (run / "samples" / "timeline.png").exists():
        samples = "pictures of the same prompts as training went on; timeline.png: all of them"
    held = {
        f"checkpoints/step-{step:06d}": "weights and training state, to resume from",
        **dict.fromkeys(exported_files(run), "the model, written from that checkpoint"),
        "model.yaml": "with checkpoints/ and clip/ the model: the whole folder is --model",
        "samples": samples,
        "metrics.jsonl": "losses and held-out numbers by step",
        "tensorboard": f"the same as curves: tensorboard --logdir {shlex.quote(str(run))}",
        "config.yaml": "all settings: --config of the same command repeats the run",
        "ATTRIBUTION.txt": "whose pictures these are",
    }
    there = {name: what for name, what in held.items() if (run / name).exists()}
    width = max(map(len, there), default=0)
    lines = [f"  {name:<{width}}  {what}" for name, what in there.items()]
    commands = [
        f"  textdiff {shlex.join(arguments)}   # {what}" for what, arguments in next_steps.items()
    ]
    return "\n".join([f"In {run}:", *lines, *(["Next:", *commands] if commands else [])])


def how_to_continue(config: TrainConfig, progress: Progress) -> str:
    """Of a finished run: which setting ended it, and what would let it go on."""
    minutes = progress.elapsed() / 60
    if progress.step >= config.steps:
        ended = f"train.steps {config.steps} are done"
        more = f"--train.steps {2 * config.steps}"
        if config.max_minutes and minutes >= config.max_minutes / 2:
            more += f" --train.max-minutes {_shown(2 * config.max_minutes)}"
    else:
        ended = f"train.max_minutes {_shown(config.max_minutes)} are over"
        more = f"--train.max-minutes {_shown(2 * (config.max_minutes or 0))}"
    return f"{ended}; to continue it, give more, e.g. {more}"


def _shown(minutes: float | None) -> str:
    return f"{minutes:g}"
