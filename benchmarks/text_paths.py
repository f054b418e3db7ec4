"""What carries the text into the U-Net: its pooled feature, cross-attention to tokens, or both.

    python benchmarks/text_paths.py --clip runs/quickstart/clip --seeds 0 1 --json out/paths.json

The quickstart's U-Net is trained on its scenes for --steps, once per row of ROWS and seed, and what
it draws is read exactly (`textdiff composition`): combinations that training has, and those that it
never has.

    pooled         the pooled feature alone: cross-attention is there, but its values and what
                   projects them out start at zero, so that neither ever has a gradient
    tokens         cross-attention to the tokens alone
    both           as the quickstart
    zero start     the projection that ends each attention starts at zero, as in latent diffusion
    k levels       with attention, from the smallest up; the others have it at one of three. The
                   middle always has it
    last layer     tokens of the text tower's last layer alone, without the words before its first
    plain          diffusers' layout: no patches, four levels

A run takes nine minutes or more on one core. Finished ones are kept under --out and not repeated;
`--only` and `--seeds` choose, so that two processes may share the work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol import protocol
from time_to_quality import alone, kept

import textdiff.training.specs.text_to_image as specs
from textdiff import TextToImage
from textdiff.config import parse_flags
from textdiff.evaluation.results import write_numbers
from textdiff.models.attention import SpatialTransformer, TransformerBlock
from textdiff.models.initial import zero_parameters
from textdiff.models.unet import UNet
from textdiff.training.run import run_training
from textdiff.training.settings.text_to_image import TrainSettings

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
DATA = ("--config", str(CONFIGS / "quickstart_data.yaml"))
SAMPLING = ("--config", str(CONFIGS / "quickstart_sampling.yaml"))
NEVER = "1000000000"
ASPECTS = ("object", "colour", "both")


def without_tokens(unet: UNet) -> None:
    for module in unet.modules():
        if isinstance(module, TransformerBlock):
            zero_parameters(module.attn2.to_v)
            zero_parameters(module.attn2.to_out)


def from_zero(unet: UNet) -> None:
    for module in unet.modules():
        if isinstance(module, SpatialTransformer):
            zero_parameters(module.proj_out)


@dataclass(frozen=True)
class Row:
    """flags: of `textdiff train`. start: changes the fresh U-Net."""

    flags: tuple[str, ...] = ()
    start: Callable[[UNet], None] | None = None


TOKENS = ("--use-pooled", "false")
TWO = ("--unet.attention", "false", "true", "true")
THREE = ("--unet.attention", "true", "true", "true")
PLAIN = (
    *("--unet.patch-size", "1", "--unet.block-channels", "32", "64", "96", "128"),
    *("--unet.attention", "false", "false", "false", "true"),
)
ROWS = {
    "pooled": Row(start=without_tokens),
    "tokens": Row(TOKENS),
    "both": Row(),
    "tokens, zero start": Row(TOKENS, from_zero),
    "both, zero start": Row(start=from_zero),
    "tokens, 2 levels": Row((*TOKENS, *TWO)),
    "both, 2 levels": Row(TWO),
    "tokens, 3 levels": Row((*TOKENS, *THREE)),
    "both, 3 levels": Row(THREE),
    "tokens, 2 levels, zero start": Row((*TOKENS, *TWO), from_zero),
    "tokens, 3 levels, zero start": Row((*TOKENS, *THREE), from_zero),
    "tokens, last layer": Row((*TOKENS, "--text-layers", "-1")),
    "tokens, plain": Row((*TOKENS, *PLAIN)),
    "both, plain": Row(PLAIN),
}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clip", required=True, help="run folder of the quickstart's CLIP")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="rows")
    parser.add_argument("--out", type=Path, default=Path("runs/text_paths"))
    parser.add_argument("--json", default=None)
    return parser.parse_args(argv)


def train(name: str, seed: int, folder: Path, options: argparse.Namespace) -> int:
    """Trains a row from its start; returns the number of steps."""
    row = ROWS[name]
    flags = [*DATA, "--config", str(CONFIGS / "quickstart.yaml"), "--clip", options.clip]
    flags += ["--seed", str(seed), "--run-dir", str(folder), "--preview.num-prompts", "0"]
    flags += ["--train.steps", str(options.steps), "--train.max-minutes", "none"]
    flags += ["--train.eval-every", NEVER, "--train.checkpoint-every", NEVER, *row.flags]
    fresh_pipeline = specs.fresh_pipeline

    def changed(*given, **named) -> TextToImage:
        pipe = fresh_pipeline(*given, **named)
        if row.start:
            row.start(pipe.unet)
        return pipe

    specs.fresh_pipeline = changed
    settings = parse_flags(TrainSettings, flags, "text_paths", "train")
    run_training(specs.text_to_image_spec(settings), run_dir=folder, resume=settings.resume)
    return TextToImage.load(folder, "cpu").step


def composition(folder: Path) -> dict:
    """What is read in pictures of the run in `folder`, as `textdiff composition` writes it."""
    file = folder / "composition.json"
    command = ("composition", *DATA, *SAMPLING, "--model", str(folder), "--json", str(file))
    subprocess.run([sys.executable, "-m", "textdiff", *command], check=True)
    return json.loads(file.read_text())["splits"]


def measured(name: str, seed: int, options: argparse.Namespace) -> dict:
    """Trains and reads one row, unless it is there already."""
    folder = options.out / f"{name.replace(', ', '-').replace(' ', '-')}-{options.steps}-{seed}"
    about = {"clip": options.clip, "steps": str(options.steps), "flags": " ".join(ROWS[name].flags)}

    def found() -> dict:
        steps = alone(train, name, seed, folder, options)
        return {"row": name, "seed": seed, "steps": steps, "splits": composition(folder)}

    return kept(folder / "result.json", about, found)


def show(results: Sequence[dict]) -> None:
    """A row per entry of ROWS: the mean over seeds of each share, and half their range."""
    head = [f"{split} {aspect}" for split in ("seen", "unseen") for aspect in ASPECTS]
    print(f"| text by | seeds | {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) + 1)}")
    for name in dict.fromkeys(one["row"] for one in results):
        runs = [one["splits"] for one in results if one["row"] == name]
        cells = [
            share([run[split]["aspects"][aspect]["drawn"]["mean"] for run in runs])
            for split in ("val", "test")
            for aspect in ASPECTS
        ]
        print(f"| {name} | {len(runs)} | {' | '.join(cells)} |")


def share(values: Sequence[float]) -> str:
    spread = (max(values) - min(values)) / 2
    return f"{statistics.mean(values):.0%}" + (f" ± {100 * spread:.0f}" if len(values) > 1 else "")


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    results = [measured(name, seed, options) for seed in options.seeds for name in options.only]
    show(results)
    write_numbers(options.json, {"protocol": protocol(options), "results": results})


if __name__ == "__main__":
    main()
