"""What a run leaves behind: config.yaml, metrics.jsonl, tensorboard/, samples/, checkpoints/."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.config import Settings, to_yaml
from textdiff.errors import UsageError
from textdiff.files import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


OF_STEPS = frozenset({"images_per_second", "skipped_steps"})  # what only rows of steps have


class RunFolder:
    """The main process (`main`) writes; on the others every method does nothing.

    Raises:
        UsageError: the path exists and is no folder.
    """

    def __init__(self, path: str | Path, main: bool = True):
        self.path, self.main = Path(path), main
        self.checkpoints = self.path / "checkpoints"
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"run folder {self.path} is a file; name another --run-dir")
        self._board: SummaryWriter | None = None
        self._unwritten: list[str] = []  # lines of metrics
        self._trouble = ""

    def start(
        self, settings: Settings, step: int, tensorboard: bool, evaluated: bool = True
    ) -> None:
        """Writes config.yaml and cuts metrics that a resumed run will write again, and lines that
        cannot be read.

        Args:
            step: from which it goes on. evaluated: not to be evaluated again, as far as it was due.
        """
        if not self.main:
            return
        write_text(self.path / "config.yaml", to_yaml(settings))
        self._cut_metrics(step, evaluated and step > 0)
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self._board = SummaryWriter(str(self.path / "tensorboard"), purge_step=step + 1)

    def _cut_metrics(self, step: int, evaluated: bool) -> None:
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return
        lines = [(line, _row(line)) for line in file.read_bytes().split(b"\n") if line.strip()]
        kept = [
            line.decode() + "\n"
            for line, row in lines
            if row is not None
            and (row["step"] < step or (row["step"] == step and (evaluated or _of_steps(row))))
        ]
        write_text(file, "".join(kept))
        unreadable = [k for k, (_, row) in enumerate(lines, 1) if row is None]
        if unreadable:
            print(
                f"{file}: dropped what cannot be read as JSON with a step: line"
                f"{'s' if len(unreadable) > 1 else ''} {', '.join(map(str, unreadable[:8]))}"
                f"{', ...' if len(unreadable) > 8 else ''}"
            )

    def log(self, step: int, values: dict[str, float]) -> None:
        """One line of JSON and the same scalars to TensorBoard.

        A disk that takes no line does not end the run: the line is kept for the next time.
        """
        if not self.main:
            return
        self._unwritten.append(json.dumps({"step": step, **values}) + "\n")
        try:
            _append(self.path / "metrics.jsonl", "".join(self._unwritten).encode())
            self._unwritten.clear()
            if self._board:
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)
        except OSError as error:
            self.note_trouble("metrics cannot be written", error)

    def note_trouble(self, what: str, error: OSError) -> None:
        """Says once that something beside the training failed; `check` will raise it."""
        if not self._trouble:
            print(f"training goes on, but {what}: {error}", file=sys.stderr)
            self._trouble = f"{what}: {error}"

    def close(self) -> None:
        try:
            if self._board:
                self._board.close()
        except OSError as error:
            self.note_trouble("metrics cannot be written", error)

    def check(self) -> None:
        """Raises UsageError if something that the run should have left behind is not there."""
        if self._trouble:
            lost = f"; {len(self._unwritten)} lines of metrics are lost" if self._unwritten else ""
            raise UsageError(
                f"{self.path}: the training went on to its end, but {self._trouble}{lost}; make "
                "room there"
            )


def _append(file: Path, content: bytes) -> None:
    """All of it or nothing: half a line would spoil the next. Raises OSError."""
    with file.open("ab", buffering=0) as handle:
        before = handle.tell()
        try:
            written = handle.write(content)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        except OSError:
            handle.truncate(before)
            raise


def _row(line: bytes) -> dict[str, Any] | None:
    """None of a line that is not whole: a killed run's last one, or one that the disk spoilt."""
    try:
        row = json.loads(line.decode("utf-8"))
        step = float(row["step"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return {**row, "step": step} if math.isfinite(step) else None


def _of_steps(row: dict[str, Any]) -> bool:
    """Whether it is of steps, and not of an evaluation after them."""
    return not OF_STEPS.isdisjoint(row)
