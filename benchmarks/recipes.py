"""What a change of the training recipe does to quality, each after the same minutes.

    python benchmarks/recipes.py --clip runs/clip --judges runs/judge runs/judge-resnet \\
        --minutes 2 --json out/recipes.json

Each of RECIPES is --config, by default configs/openmoji.yaml, with a flag or a few changed. It is
trained for --minutes, learning rate schedule and all, and judged as in `time_to_quality.py`. "as it
is" with two seeds says how far apart two trainings of one recipe are; smaller differences say
nothing. Runs follow one another; finished ones are kept under --out. Let nothing run beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import time_to_quality as quality
from protocol import protocol

from textdiff.evaluation.results import write_numbers

RECIPES: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "min-SNR weights": ("--objective.loss", "min_snr"),
    "EMA of 0.99": ("--ema-decay", "0.99"),
    "EMA of 0.9999": ("--ema-decay", "0.9999"),
    "constant learning rate": ("--train.schedule", "constant"),
    "cosine learning rate": ("--train.schedule", "cosine"),
    "half the learning rate": ("--train.lr", "1e-3"),
    "twice the learning rate": ("--train.lr", "4e-3"),
    "batches of 16": ("--train.batch-size", "16"),
    "batches of 64": ("--train.batch-size", "64"),
    "linear schedule": ("--schedule.name", "linear"),
    "eps predicted": ("--prediction", "eps"),
    "attention at two levels": ("--unet.attention", "false", "true", "true"),
    "two blocks at the last level": ("--unet.layers-per-block", "1", "1", "2"),
    "patches of 4": (
        *("--unet.patch-size", "4", "--unet.block-channels", "128", "192"),
        *("--unet.attention", "false", "true"),
    ),
    "no patches": (
        *("--unet.patch-size", "1", "--unet.block-channels", "32", "64", "96", "192"),
        *("--unet.attention", "false", "false", "false", "true"),
    ),
}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    quality.add_arguments(parser, "runs/recipes")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    return parser.parse_args(argv)


def measured(options: argparse.Namespace, recipe: str, seed: int) -> dict:
    """Trains and judges one run, unless it is there already."""
    folder = options.out / f"{recipe.replace(' ', '-')}-{options.minutes:g}min-seed{seed}"
    about = {**quality.conditions(options, "textdiff"), "flags": " ".join(RECIPES[recipe])}

    def trained() -> dict:
        given = options, options.minutes, seed, folder, *RECIPES[recipe]
        steps = quality.alone(quality.train_ours, *given)
        return {"recipe": recipe, "seed": seed, "steps": steps, **quality.judged(options, folder)}

    return quality.kept(folder / "result.json", about, trained)


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    results = [measured(options, name, seed) for name in options.recipes for seed in options.seeds]
    quality.show(("recipe", "seed"), results)
    write_numbers(options.json, {"protocol": protocol(options), "results": results})


if __name__ == "__main__":
    main()
