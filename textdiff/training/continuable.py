"""Trainings that a signal meets outside their steps: what was saved and cached stays, and the same
command goes on from there.

    data, caches, networks, the first evaluation, an export ── signal ──► exit code 75
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from textdiff.config import Settings
from textdiff.errors import StoppedBySignalError
from textdiff.stopping import Interrupted

SettingsT = TypeVar("SettingsT", bound=Settings)


def continuable(run: Callable[[SettingsT], None]) -> Callable[[SettingsT], None]:
    """A training's command that, interrupted, raises StoppedBySignalError; not in a dry run or a
    check, of which nothing is kept."""

    @functools.wraps(run)
    def wrapped(settings: SettingsT) -> None:
        try:
            run(settings)
        except Interrupted as signal:
            if any(getattr(settings, name, None) for name in ("check", "dry_run")):
                raise
            raise StoppedBySignalError(
                f"stopped by {signal} outside a step; checkpoints and caches are as they were: run "
                "the same command again to continue"
            ) from None

    return wrapped
