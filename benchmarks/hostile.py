"""Ten thousand files, many of them bad in every way that we know: exact counts, memory, seconds.

    python benchmarks/hostile.py --files 10000 --json out/hostile.json

A folder with every kind of bad file and row (`tests.helpers.hostile`) among good ones is checked by
`textdiff data check` twice, each time in a process of its own, and then trained on for a few steps,
with a cache, so that each picture of the training split is decoded. Printed are the counts planted
and found, whether both checks gave the same page and numbers, whether the training met the pictures
that were counted, and of each process the seconds and the most memory that it held. Exit code 1
where any of it is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from protocol import protocol
from rounds import table

from textdiff.evaluation.results import write_numbers

# this project's tests, not those that some package leaves in site-packages
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.helpers.command import TINY_CLIP
from tests.helpers.hostile import BAD, GOOD, KINDS, PLACED, write_hostile

SHARE_OF_KINDS = 0.7  # of all files; the others are plain pictures
# runs a command, then says on its last line the most memory that it or a worker of its held, in KiB
MEASURED = """
import resource, sys
from textdiff.commands.cli import main
try:
    main(sys.argv[1:])
finally:
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    print(max(resource.getrusage(each).ru_maxrss for each in who))
"""


@dataclass(frozen=True)
class Ran:
    """output: stdout without its last line. memory: the most, in MiB."""

    code: int
    output: str
    seconds: float
    memory: float


@dataclass(frozen=True)
class Outcome:
    """wrong: reasons whose count found is not that planted. same: whether the second check gave the
    same. unusable: pictures of the training split; met: as the training says, None: it does not."""

    planted: int
    kinds: int
    wrong: dict[str, tuple[int, int]]
    same: bool
    unusable: int
    met: int | None
    check: Ran
    again: Ran
    training: Ran

    @property
    def as_promised(self) -> bool:
        codes = {each.code for each in (self.check, self.again, self.training)}
        return not self.wrong and self.same and self.met == self.unusable and codes == {0}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--files", type=int, default=10_000, help="about how many")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20, help="of the training")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def ran(*words: object) -> Ran:
    start = time.perf_counter()
    command = [sys.executable, "-c", MEASURED, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    if done.returncode < 0 or not done.stdout:  # killed, before it could say what it held
        sys.exit(f"'{' '.join(map(str, words[:2]))}' ended with {done.returncode}")
    *output, memory = done.stdout.splitlines()
    return Ran(done.returncode, "\n".join(output), seconds, int(memory) / 1024)


def measure(folder: Path, options: argparse.Namespace) -> Outcome:
    """In the empty `folder`."""
    kinds = len(BAD) + len(GOOD) + len(PLACED)
    each = max(1, int(SHARE_OF_KINDS * options.files / kinds))
    pictures = folder / "pictures"
    planted = write_hostile(pictures, each=each, good=max(0, options.files - each * kinds))
    data = ("--data.image-size", options.image_size, "--data.max-bad-fraction", 1)
    checks = []
    for name in ("first", "second"):
        places = ("--report", folder / f"{name}.html", "--json", folder / f"{name}.json")
        checks.append(ran("data", "check", pictures, *data, *places))
    numbers = json.loads((folder / "first.json").read_text())["check"]
    found = Counter({k: each["count"] for k, each in numbers["report"]["rejected"].items()})
    (folder / "clip.yaml").write_text(TINY_CLIP)
    training = ran(
        *("train-clip", "--config", folder / "clip.yaml", "--data", pictures, *data),
        *("--data.cache", "on", "--data.cache-dir", folder / "cache"),
        *("--clip.image.image-size", options.image_size, "--train.steps", options.steps),
        *("--run-dir", folder / "run"),
    )
    met = re.search(r"^(\d+) of \d+ images could not be used", training.output, re.MULTILINE)
    train = numbers["splits"]["train"]
    return Outcome(
        planted=planted.total(),
        kinds=KINDS,
        wrong={k: (planted[k], found[k]) for k in planted | found if planted[k] != found[k]},
        same=all(
            (folder / f"first.{kind}").read_bytes() == (folder / f"second.{kind}").read_bytes()
            for kind in ("html", "json")
        ),
        unusable=train["images"] - train["usable"],
        met=int(met[1]) if met else None,
        check=checks[0],
        again=checks[1],
        training=training,
    )


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        outcome = measure(Path(folder), options)
    print(f"{outcome.planted:,} bad files and rows of {outcome.kinds} kinds", end="; ")
    print("counted exactly" if not outcome.wrong else f"counted wrong: {outcome.wrong}")
    print(f"twice the same page and numbers: {'yes' if outcome.same else 'NO'}")
    print(f"unusable pictures to train on: {outcome.unusable:,} counted, {outcome.met} met")
    rows = [
        [name, str(each.code), f"{each.seconds:.1f}", f"{each.memory:,.0f}"]
        for name, each in (
            ("check", outcome.check),
            ("check again", outcome.again),
            (f"training, {options.steps} steps", outcome.training),
        )
    ]
    table("of a process each", ["", "exit code", "seconds", "memory, MiB"], rows)
    write_numbers(options.json, {"protocol": protocol(options), "outcome": outcome})
    sys.exit(0 if outcome.as_promised else 1)


if __name__ == "__main__":
    main()
