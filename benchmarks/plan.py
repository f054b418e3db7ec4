"""What `textdiff plan` says that a training will hold, and what it held.

plan ── predicted bytes, with error ──┐
the same training, a few steps ───────┴─► peak of its process, as the system keeps it

Each training is that of a recipe on data that are built in, at its batch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from protocol import protocol

from textdiff.evaluation.results import write_numbers

STEPS = 30
BF16 = ("--train.precision", "bf16")  # "auto" may answer otherwise on a busy machine


@dataclass(frozen=True)
class Case:
    """task: the command that trains. flags: of it, all but the run's folder."""

    name: str
    task: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Bytes. off: predicted / held - 1."""

    predicted: float
    error: float
    held: int

    @property
    def off(self) -> float:
        return self.predicted / self.held - 1


def cases(clip: str) -> list[Case]:
    """clip: a folder of one of 32x32 pictures."""
    return [
        Case("U-Net, quickstart", "train", ("--config", "quickstart_data", "--config", "quickstart",
             "--clip", clip, *BF16)),
        Case("U-Net, openmoji", "train", ("--config", "openmoji", "--clip", clip, *BF16)),
        Case("CLIP, openmoji", "train-clip", ("--config", "clip_openmoji", *BF16)),
        Case("VAE, openmoji", "train-vae", ("--config", "vae_openmoji", *BF16)),
    ]  # fmt: skip


def predicted(case: Case, folder: Path) -> tuple[float, float]:
    """(bytes, error) of `textdiff plan`."""
    file = folder / "plan.json"
    run("plan", "--task", case.task, *case.flags, "--json", str(file))
    (device,) = json.loads(file.read_text())["devices"]
    return device["needed"]["value"], device["needed"]["error"]


def held(case: Case, folder: Path, steps: int) -> int:
    """Bytes at most, of a process that trains for so many steps."""
    every = [f"--train.{name}-every" for name in ("eval", "checkpoint")]
    short = ["--train.steps", str(steps), *(word for flag in every for word in (flag, str(steps)))]
    code = (
        "import sys; from textdiff.commands.cli import run; from textdiff.memory import peak_bytes;"
        "run(sys.argv[2:]); open(sys.argv[1], 'w').write(str(peak_bytes()))"
    )
    words = [case.task, *case.flags, *short, "--run-dir", str(folder / "run")]
    command = [sys.executable, "-c", code, str(folder / "peak"), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return int((folder / "peak").read_text())


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "textdiff", *words], check=True)


def compare(case: Case, steps: int) -> Compared:
    with tempfile.TemporaryDirectory() as name:
        value, error = predicted(case, Path(name))
        return Compared(value, error, held(case, Path(name), steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", required=True, help="folder of a CLIP of 32x32 pictures")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--only", nargs="+", default=[], help="names that contain one of these")
    parser.add_argument("--out", default="plan.json")
    options = parser.parse_args()
    results = {}
    print("| training | predicted, GB | held, GB | off |")
    print("| --- | ---: | ---: | ---: |")
    for case in cases(options.clip):
        if options.only and not any(word in case.name for word in options.only):
            continue
        found = compare(case, options.steps)
        value, error = found.predicted / 1e9, found.error / 1e9
        print(f"| {case.name} | {value:.3f} +- {error:.3f} | {found.held / 1e9:.3f} | "
              f"{found.off:+.1%} |", flush=True)  # fmt: skip
        results[case.name] = {**asdict(found), "off": found.off}
    write_numbers(options.out, {"protocol": protocol(options), "results": results})


if __name__ == "__main__":
    main()
