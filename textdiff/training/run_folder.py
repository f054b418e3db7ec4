"""What a run leaves behind: config.yaml, metrics.jsonl, tensorboard/, samples/, checkpoints/."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.config import Settings, to_yaml
from textdiff.errors import UsageError
from textdiff.files import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


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

    def start(self, settings: Settings, step: int, tensorboard: bool) -> None:
        """Writes config.yaml and cuts metrics that a resumed run will write again (> `step`), and
        lines that cannot be read."""
        if not self.main:
            return
        write_text(self.path / "config.yaml", to_yaml(settings))
        self._cut_metrics(step)
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self._board = SummaryWriter(str(self.path / "tensorboard"), purge_step=step + 1)

    def _cut_metrics(self, step: int) -> None:
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return
        lines = [(line, _step(line)) for line in file.read_bytes().split(b"\n") if line.strip()]
        kept = [line.decode() + "\n" for line, at in lines if at is not None and at <= step]
        write_text(file, "".join(kept))
        unreadable = [k for k, (_, at) in enumerate(lines, 1) if at is None]
        if unreadable:
            print(
                f"{file}: dropped what cannot be read as JSON with a step: line"
                f"{'s' if len(unreadable) > 1 else ''} {', '.join(map(str, unreadable[:8]))}"
                f"{', ...' if len(unreadable) > 8 else ''}"
            )

    def log(self, step: int, values: dict[str, float]) -> None:
        """One line of JSON and the same scalars to TensorBoard."""
        if not self.main:
            return
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        if self._board:
            self._board.close()


def _step(line: bytes) -> float | None:
    """None of a line that is not whole: a killed run's last one, or one that the disk spoilt."""
    try:
        step = float(json.loads(line.decode("utf-8"))["step"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return step if math.isfinite(step) else None
