"""Whether a training that is killed, at any moment, ends with the bytes of one that was not.

    python benchmarks/crash.py                        # 400 random moments, all file events: hours
    python benchmarks/crash.py --short                       # two tasks, a few of each
    python benchmarks/crash.py --tasks VAE --kills 1000 --json out/crash.json

Every task is trained in small (`crash_tasks.py`): once without a kill, which is what all others
must equal, and then

random     from the start; SIGKILL at a random moment, the same command again, until it ends. Up to
           four kills in a row, since a run may be killed while it recovers from a kill
events     from a run that was killed as its last save began: the process takes the steps since the
           save before again, evaluates, saves, prunes the oldest checkpoint and exports, and is
           killed before one thing that it does to files, see `crash_kills.py`, once for every
           single one; the process that mends it is killed too, before any of its own; then the same
           again, to the end
commands   `textdiff <command>`, started from a shell as people do, killed at a random moment and
           started again: fewer, since each takes seconds to import torch

and compared by the SHA-256 of every file: weights, moments, averages, metrics row by row, pictures,
exports, settings, states. What a clock said is left out: seconds in metrics and in states, and the
hashes of states. All but "commands" are forked from this process, which has imported everything;
a forked process is killed as any other is.

Columns: kills of each kind; of how many file events; runs that were compared; their files that
differ; files that are left and the run without a kill does not have; commands that failed; seconds.

Bits are those of one machine: the same processor, torch and number of threads (here one).
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from crash_kills import Ended, differing, fingerprint, forked, fresh_copy, import_all
from crash_tasks import NAMES, Job, carry_out, jobs, make_embeddings, make_pictures
from protocol import protocol

from textdiff.evaluation.results import write_numbers
from textdiff.evaluation.tables import print_table

IN_A_ROW = 4
STEPS = 8
SHORT = ("CLIP", "VAE")


@dataclass
class Result:
    """Of one task. events: of the last save, evaluation, pruning and export; kills: by kind."""

    task: str
    events: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    differing: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, kind: str, kills: int) -> None:
        self.kills[kind] = self.kills.get(kind, 0) + kills

    @property
    def passed(self) -> bool:
        return not (self.differing or self.leftovers or self.failures)


class Trials:
    """Of one task: the run that was never killed, and those that are."""

    def __init__(self, job: Job, root: Path, generator: random.Random) -> None:
        self.job, self.file, self.random = job, job.write(root), generator
        self.folder = self.file.parent
        self.run, self.log = self.folder / "run", self.folder / "log.txt"
        self.result = Result(job.name)

    def attempt(
        self, kill_before: int | str | None = None, kill_after: float | None = None
    ) -> Ended:
        """The job's command, in a process of its own."""
        work = partial(carry_out, self.file, self.job.command)
        return forked(work, self.log, kill_before=kill_before, kill_after=kill_after)

    def reference(self) -> None:
        """Trains without a kill, and keeps that as "made"; and as "almost" what is there when the
        last save begins."""
        fresh_copy(None, self.run)
        import_all(self.attempt().modules)
        fresh_copy(None, self.run)
        whole = self.attempt()
        self._check(whole)
        self.duration = whole.seconds
        self.expected = fingerprint(self.run)
        fresh_copy(self.run, self.folder / "made")
        fresh_copy(None, self.run)
        self.attempt(kill_before=f".staging-step-{STEPS:06d}")
        fresh_copy(self.run, self.folder / "almost")

    def random_kills(self, wanted: int) -> None:
        while wanted > 0:
            fresh_copy(None, self.run)
            in_a_row = min(wanted, IN_A_ROW)
            killed = 0
            for _ in range(in_a_row):
                where = f"after {killed} kills at random moments"
                if not self._is_killed(where, kill_after=self.random.uniform(0, self.duration)):
                    break
                killed += 1
            self._finish("random", killed, where=f"after {killed} kills at random moments")
            wanted -= max(killed, 1)

    def every_event(self, at_most: int | None) -> None:
        fresh_copy(self.folder / "almost", self.run)
        self.result.events = self.attempt().events
        self._compare("without a kill, from the last checkpoint but one")
        numbers = range(1, self.result.events + 1)
        if at_most is not None and at_most < len(numbers):
            numbers = sorted(self.random.sample(numbers, at_most))  # type: ignore[assignment]
        for number in numbers:
            fresh_copy(self.folder / "almost", self.run)
            again = self.random.randint(1, self.result.events)
            where = f"before file event {number}, and {again} of the next process"
            killed = self._is_killed(where, kill_before=number)
            killed_again = self._is_killed(where, kill_before=again)
            self._finish("event", killed + killed_again, where)

    def commands(self, wanted: int) -> None:
        command = [sys.executable, "-m", "textdiff", self.job.command]
        command += ["--config", str(self.file)]
        for _ in range(wanted):
            fresh_copy(None, self.run)
            with self.log.open("a") as log:
                start = time.monotonic()
                process = subprocess.Popen(command, stdout=log, stderr=log)
                while not (self.run / "metrics.jsonl").exists() and process.poll() is None:
                    time.sleep(0.01)
                time.sleep(self.random.uniform(0, self.duration))
                process.kill()
                killed = process.wait() == -signal.SIGKILL
                moment = time.monotonic() - start
                code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
            where = f"after a kill of the command at {moment:.1f} s"
            if not killed:
                self._check(Ended(process.returncode, moment), "of the command to be killed")
            self.result.add("command", int(killed))
            self._check(Ended(code, 0.0), where)
            self._compare(where)

    def _is_killed(
        self, where: str, *, kill_before: int | None = None, kill_after: float | None = None
    ) -> bool:
        """Whether an attempt was killed before its end; one that failed instead is noted."""
        ended = self.attempt(kill_before, kill_after)
        if ended.code is not None:
            self._check(ended, where)
        return ended.code is None

    def _finish(self, kind: str, kills: int, where: str) -> None:
        """Lets the run come to its end, and compares."""
        self.result.add(kind, kills)
        self._check(self.attempt(), where)
        self._compare(where)

    def _check(self, ended: Ended, where: str = "without a kill") -> None:
        if ended.code != 0:
            self.result.failures.append(f"{where}: exit code {ended.code}, see {self.log}")

    def _compare(self, where: str) -> None:
        self.result.runs += 1
        wrong, more = differing(self.expected, fingerprint(self.run))
        self.result.differing += [f"{name} {where}" for name in wrong]
        self.result.leftovers += [f"{name} {where}" for name in more]


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    generator = random.Random(options.seed)
    root = Path(options.work or tempfile.mkdtemp(prefix="crash-"))
    make_pictures(root / "pictures")
    every = jobs(root, STEPS)
    asked = [job for job in every if job.name in options.tasks]
    needed = {name for job in asked for name in (job.name, *job.needs)}
    results = []
    for job in every:
        if job.name not in needed:
            continue
        start = time.monotonic()
        trials = Trials(job, root, generator)
        trials.reference()
        if job.name == "CLIP":
            forked(partial(make_embeddings, root), root / "log.txt")
        if job in asked:
            trials.random_kills(-(-options.kills // len(asked)))
            trials.every_event(options.events)
            trials.commands(options.commands)
            trials.result.seconds = time.monotonic() - start
            results.append(trials.result)
            print(said(trials.result), flush=True)
            about = {**protocol(options, "cpu"), "torch": torch.__version__}
            write_numbers(options.json, {"protocol": about, "tasks": results})
    report(results)
    passed = all(result.passed for result in results)
    if passed and not options.work:
        shutil.rmtree(root)
    sys.exit(0 if passed else 1)


def read_options() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--tasks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--kills", type=int, default=400, help="at random moments, of all tasks")
    parser.add_argument("--events", type=int, help="of each task; none: every single one")
    parser.add_argument("--commands", type=int, default=1, help="kills of commands, of each task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", help="folder for the runs, which stay there; none: a temporary one"
    )
    parser.add_argument("--json", help="write all numbers here")
    parser.add_argument("--short", action="store_true", help=f"{', '.join(SHORT)}; few of each")
    options = parser.parse_args()
    if options.short:
        options.tasks, options.kills, options.events, options.commands = list(SHORT), 4, 4, 0
    return options


def said(result: Result) -> str:
    kills = ", ".join(f"{number} {kind}" for kind, number in result.kills.items())
    wrong = [*result.differing, *result.leftovers, *result.failures]
    return f"{result.task}: {kills}; " + ("; ".join(wrong[:5]) or "no file differs")


def report(results: list[Result]) -> None:
    kinds = ("random", "event", "command")
    rows = [
        [
            result.task,
            *(str(result.kills.get(kind, 0)) for kind in kinds),
            *(str(result.events), str(result.runs)),
            *(str(len(wrong)) for wrong in (result.differing, result.leftovers, result.failures)),
            f"{result.seconds:.0f}",
        ]
        for result in results
    ]
    columns = [*kinds, "of events", "runs", "differ", "left", "failed", "s"]
    print_table("kills, and files that differ from the run without", ["task", *columns], rows)
    total = sum(sum(result.kills.values()) for result in results)
    print(f"{total} kills, {sum(len(result.differing) for result in results)} differing files")


if __name__ == "__main__":
    main()
