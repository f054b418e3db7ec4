"""The recipes that come with textdiff: YAML files that `--config NAME` names without a path.

They are `configs/` of the repository. A wheel holds a copy beside this file (setup.py makes it).
"""

from __future__ import annotations

import textwrap
from pathlib import Path


def recipes_folder() -> Path:
    """Where the YAML files lie."""
    installed = Path(__file__).with_name("configs")
    return installed if installed.is_dir() else Path(__file__).resolve().parents[1] / "configs"


def recipes() -> dict[str, Path]:
    """File by name, e.g. `quickstart` or `objectives/v`, in alphabetical order."""
    folder = recipes_folder()
    files = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in folder.rglob("*.yaml")
        if path.is_file()
    }
    return dict(sorted(files.items()))


def about(file: Path) -> str:
    """The first sentence of the comment that a recipe begins with, in a line."""
    comment = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    sentence = " ".join(comment).split(". ")[0].rstrip(".")
    return textwrap.shorten(sentence, 95, placeholder=" ...")
