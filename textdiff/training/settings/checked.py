"""Where a run is kept, whether it continues, whether it is only checked: settings of trainings that
can say which part is broken."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from textdiff.config import Settings

DryRun = Annotated[
    bool,
    Field(
        description="three steps, an evaluation and a checkpoint that is read back; then what the "
        "run will take of memory, disk and time; nothing is kept"
    ),
]


class CheckedRunSettings(Settings):
    """Of any training that `--check overfit` knows."""

    run_dir: str = Field(description="where the run is kept")
    resume: Literal["auto", "must", "never"] = Field(
        "auto", description="continue the newest good checkpoint: if there is one, always, or never"
    )
    check: Literal["overfit"] | None = Field(
        None,
        description="overfit: train on one batch for 200 steps, say which part is broken if that "
        "does not work (exit code 6), and write nothing; none: train",
    )
    dry_run: DryRun = False

    @pydantic.model_validator(mode="after")
    def _one_of_them(self) -> CheckedRunSettings:
        if self.check and self.dry_run:
            raise ValueError("check and dry_run are two things; give one of them")
        return self
