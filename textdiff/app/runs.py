"""A run folder as it stands now: its curves, its pictures over time, and whether it learns.

    metrics.jsonl, samples/timeline ──► RunView        read again whenever `stamp` is another

Nothing runs in the trainer for it, so a run of last year is shown as one that is under way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from textdiff.config import read_yaml
from textdiff.data.of_run import RUN_CONFIG
from textdiff.data.timeline_columns import column_files
from textdiff.errors import UsageError
from textdiff.evaluation.report.charts import learning
from textdiff.evaluation.report.document import Block
from textdiff.evaluation.report.log import Log, read_log
from textdiff.evaluation.report.run_files import LOG, Kind, find_run
from textdiff.evaluation.report.timeline import timeline
from textdiff.training.learning.answer import answer

QUIET = 300.0  # seconds without a new line of the log after which a run is taken to have stopped
TIMELINE = Path("samples") / "timeline"
JUDGED = ("held_out/", "training/", "text/", "average/")  # names of what an evaluation logs

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class RunView:
    """What there is to show of a run.

    step: the last one in its log; None: it has none.
    steps: how many it is to make; None: its config does not say.
    age: seconds since the log was last written.
    judged: the step of the last evaluation; verdict: on it, in words, none where it says nothing.
    charts, timeline: for the page, as those of a report.
    """

    name: str
    kind: Kind
    step: int | None
    steps: int | None
    age: float | None
    judged: int | None
    verdict: list[str]
    charts: list[Block]
    timeline: list[Block]

    @property
    def state(self) -> str:
        """One line: how far it is."""
        if self.step is None or self.age is None:
            return "Nothing logged yet."
        of = f" of {self.steps:,}" if self.steps else ""
        if self.steps and self.step >= self.steps:
            return f"Step {self.step:,}{of}: finished."
        if self.age > QUIET:
            return (
                f"Step {self.step:,}{of}; nothing new for {duration(self.age)}: not training now."
            )
        return f"Step {self.step:,}{of}, training; last line {duration(self.age)} ago."


def read_run(name: str) -> RunView:
    """Of a run folder of `textdiff train`, `train-clip` or `finetune-clip`, under way or finished.

    Raises:
        CheckpointError: no such folder, or no run in it.
    """
    folder, kind = find_run(name)
    log = read_log(folder / LOG)
    judged, values = last_evaluation(log)
    drawn = timeline(folder).section.blocks if kind == "text-to-image model" else []
    return RunView(
        name=name,
        kind=kind,
        step=None if log is None else log.last_step,
        steps=_steps(folder / RUN_CONFIG),
        age=None if log is None else max(0.0, time.time() - (folder / LOG).stat().st_mtime),
        judged=judged,
        verdict=[] if judged is None else answer(values, judged),
        charts=learning(log).section.blocks,
        timeline=drawn,
    )


def stamp(name: str) -> Stamp:
    """Another value as soon as the folder has more to show; cheap, to be asked every second.

    Raises:
        CheckpointError: as `read_run`.
    """
    folder, _ = find_run(name)
    newest = [file for _, file in column_files(folder / TIMELINE)][-1:]
    files = [file for file in (folder / LOG, folder / RUN_CONFIG, *newest) if file.is_file()]
    states = [(file, file.stat()) for file in files]
    return tuple((file.name, state.st_size, state.st_mtime_ns) for file, state in states)


def last_evaluation(log: Log | None) -> tuple[int | None, dict[str, float]]:
    """The last step at which anything was judged, and all that was logged at it."""
    curves = {} if log is None else log.curves
    steps = [points[-1][0] for name, points in curves.items() if name.startswith(JUDGED)]
    if not steps:
        return None, {}
    last = max(steps)
    at_last = {name: dict(points).get(last) for name, points in curves.items()}
    return int(last), {name: value for name, value in at_last.items() if value is not None}


def duration(seconds: float) -> str:
    """Such as "3 s", "5 min" or "2 days", rounded down."""
    for unit, length in (("day", 86400), ("h", 3600), ("min", 60)):
        if (count := int(seconds // length)) > 0:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{int(seconds)} s"


def _steps(config: Path) -> int | None:
    try:
        train = read_yaml(config).get("train")
    except UsageError:  # none there, or one that another version wrote
        return None
    steps = train.get("steps") if isinstance(train, dict) else None
    return steps if type(steps) is int and steps > 0 else None
