"""Every objective on the same small budget: train, then held-out loss, bits/dim, prompt following.

    python benchmarks/objectives.py --clip runs/quickstart/clip --judge runs/quickstart/judge

Trains configs/quickstart.yaml with each file of configs/objectives for --steps steps and --seeds
seeds into --out, skipping runs that are finished, and prints a Markdown table. A run takes about
four minutes on one core of 2026; the order of runs does not matter to the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
DATA = ["--config", CONFIGS / "quickstart_data.yaml"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clip", type=Path, required=True, help="run folder of the text CLIP")
    parser.add_argument("--judge", type=Path, required=True, help="a CLIP of another seed")
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--estimate", type=int, default=100, help="timesteps per image of the bound"
    )
    parser.add_argument("--only", nargs="+", default=None, help="names of objectives")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    return parser.parse_args()


def textdiff(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "textdiff", *map(str, words)], check=True)


def train(config: Path, seed: int, run: Path, options: argparse.Namespace) -> None:
    textdiff(
        *("train", *DATA, "--config", CONFIGS / "quickstart.yaml", "--config", config),
        *("--clip", options.clip, "--seed", seed, "--run-dir", run),
        *("--train.max-minutes", "none", "--train.steps", options.steps),
        *("--train.eval-every", "200", "--preview.num-prompts", "0"),
    )


def measure(run: Path, options: argparse.Namespace) -> None:
    """Writes bits*.json and following.json, unless they are there.

    bits.json is the bound with the model's own variance, learned where it has one, else beta;
    bits_fixed.json that with beta.
    """
    bound = ("likelihood", "--model", run, *DATA, "--split", "val", "--estimate", options.estimate)
    if not (run / "bits.json").exists():
        textdiff(*bound, "--json", run / "bits.json")
    if not (run / "bits_fixed.json").exists():
        textdiff(*bound, "--variance", "fixed_large", "--json", run / "bits_fixed.json")
    if not (run / "following.json").exists():
        textdiff(
            *("prompt-following", "--model", run, "--judge", options.judge, *DATA),
            *("--num-steps", "25", "--guidance-scale", "2.5", "--json", run / "following.json"),
        )


def result(run: Path) -> dict[str, float]:
    """Numbers of a measured run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    held_out = [row for row in rows if "held_out/eps_mse" in row][-1]
    own, fixed = (
        json.loads((run / f"{name}.json").read_text())["results"]["first"]["total"]["mean"]
        for name in ("bits", "bits_fixed")
    )
    following = json.loads((run / "following.json").read_text())["results"]["drawn"]
    return {
        **{f"q{q}": held_out[f"held_out/eps_mse_q{q}"] for q in (1, 2, 3, 4)},
        "bits": own,
        "bits, beta": fixed,
        "R@1": 100 * following["R@1"]["mean"],
        "R@5": 100 * following["R@5"]["mean"],
    }


def table(options: argparse.Namespace, names: list[str]) -> None:
    columns = ["q1", "q2", "q3", "q4", "bits", "bits, beta", "R@1", "R@5"]
    shown = {"bits": "bits/dim", "bits, beta": "bits/dim with sigma^2 = beta"}
    shown |= {f"q{q}": f"eps-MSE q{q}" for q in (1, 2, 3, 4)}
    print("| objective | " + " | ".join(shown.get(c, c) for c in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for name in names:
        runs = [options.out / f"{name}-{seed}" for seed in options.seeds]
        found = [result(run) for run in runs if (run / "following.json").exists()]
        cells = [cell([row[c] for row in found], 1 if c.startswith("R") else 3) for c in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


def cell(values: list[float], digits: int) -> str:
    """The mean, and half the range between seeds."""
    if not values:
        return "-"
    spread = (max(values) - min(values)) / 2
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def main() -> None:
    options = arguments()
    configs = sorted((CONFIGS / "objectives").glob("*.yaml"))
    configs = [c for c in configs if not options.only or c.stem in options.only]
    if not options.table:
        for seed in options.seeds:
            for config in configs:
                run = options.out / f"{config.stem}-{seed}"
                train(config, seed, run, options)
                measure(run, options)
    table(options, [config.stem for config in configs])


if __name__ == "__main__":
    main()
