"""Every file under a folder, and why some of them are not looked at.

Folders and links are followed without ever entering one folder twice, so that a circle ends.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "hidden"
SPECIAL = "not a regular file"
BROKEN = "broken link"
READ_TWICE = "link to a folder that is read anyway"


@dataclass(frozen=True)
class Walk:
    """Names relative to the folder, with slashes, sorted.

    files: regular and not hidden. ignored: others, by reason. outside: links that lead out of the
    folder and were not followed. unreadable: folders that may not be opened.
    """

    files: list[str]
    ignored: dict[str, list[str]]
    outside: list[str]
    unreadable: list[str]


def walk(root: Path, *, follow: bool) -> Walk:
    """All files under `root`; with `follow` also where links lead out of it."""
    base = os.path.realpath(root)
    files: list[str] = []
    outside: list[str] = []
    unreadable: list[str] = []
    ignored: dict[str, list[str]] = defaultdict(list)
    entered: set[tuple[int, int]] = set()
    linked: list[tuple[str, bool]] = []  # after all others, so that these keep their own names
    waiting = [("", False)]
    while waiting or linked:
        folder, hidden = waiting.pop() if waiting else linked.pop()
        here = root / folder
        status = here.stat()
        if (status.st_dev, status.st_ino) in entered:
            ignored[READ_TWICE].append(folder)
            continue
        entered.add((status.st_dev, status.st_ino))
        try:
            found = list(os.scandir(here))
        except OSError:
            unreadable.append(folder)
            continue
        for item in found:
            name = f"{folder}{item.name}"
            is_hidden = hidden or item.name.startswith(".")
            is_link = item.is_symlink()
            try:
                mode = item.stat().st_mode
            except OSError:
                ignored[HIDDEN if is_hidden else BROKEN].append(name)
                continue
            leads_out = is_link and not is_inside(item.path, base)
            if is_hidden and (is_link or not stat.S_ISDIR(mode)):
                ignored[HIDDEN].append(name)
            elif leads_out and not follow:
                outside.append(name)
            elif stat.S_ISDIR(mode):
                (linked if is_link else waiting).append((f"{name}/", is_hidden))
            elif stat.S_ISREG(mode):
                files.append(name)
            else:
                ignored[SPECIAL].append(name)
    return Walk(
        sorted(files),
        {reason: sorted(names) for reason, names in sorted(ignored.items())},
        sorted(outside),
        sorted(unreadable),
    )


def is_inside(path: str | Path, base: str | Path) -> bool:
    """Whether `path` lies in the folder `base` or is it, links followed in both."""
    real, target = os.path.realpath(base), os.path.realpath(path)
    return target == real or target.startswith(real.rstrip(os.sep) + os.sep)
