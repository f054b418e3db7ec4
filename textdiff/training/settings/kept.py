"""Settings of `textdiff ckpt list|info|verify|export`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from textdiff.config import Settings

Run = Annotated[str, Field(description="run folder")]
JsonOut = Annotated[str | None, Field(description="write the same as JSON to this file")]
Step = Annotated[
    int | None, Field(description="of the checkpoint; none: the newest good one", ge=0)
]


class CkptListSettings(Settings):
    """The checkpoints of a run."""

    run: Run
    json: JsonOut = None  # type: ignore[assignment]  # of a deprecated method's name


class CkptInfoSettings(Settings):
    """One checkpoint: files, training so far, the settings that it holds."""

    run: Run
    step: Step = None
    json: JsonOut = None  # type: ignore[assignment]  # of a deprecated method's name


class CkptVerifySettings(Settings):
    """Whether all files are as they were written."""

    run: str = Field(description="run folder, exported model, prior, CLIP or VAE")
    adopt: bool = Field(
        False,
        description="where a model has no manifest, write one: its files are right as they are now",
    )
    json: JsonOut = None  # type: ignore[assignment]  # of a deprecated method's name


class CkptExportSettings(Settings):
    """The model of one checkpoint, as a folder that --model, --clip or --prior takes."""

    run: Run
    step: Step = None
    out: str = Field(description="folder to write, new or empty")
