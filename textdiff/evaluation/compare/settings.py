"""Settings of `textdiff compare`."""

from __future__ import annotations

from pydantic import Field, field_validator

from textdiff.config import Settings
from textdiff.evaluation.settings import JsonFile


class CompareSettings(Settings):
    """Protocol: that of the two files, which must agree in all but what is compared."""

    files: list[str] = Field(description="A.json B.json, which --json of one evaluation wrote")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @field_validator("files")
    @classmethod
    def _two(cls, files: list[str]) -> list[str]:
        if len(files) != 2:
            raise ValueError(f"give two files, A.json B.json, not {len(files)}")
        return files
