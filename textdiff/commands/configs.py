"""List, print or copy the recipes that `--config` knows by name."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.errors import UsageError


class ConfigsSettings(Settings):
    """Without a name: all of them."""

    name: str | None = Field(None, description="print this one")
    out: str | None = Field(None, description="copy it into this file instead, to change it there")


def run(settings: ConfigsSettings) -> None:
    """Show what was asked for.

    Raises:
        UsageError: no such recipe, a file that is there already, or a file without a name.
    """
    from pathlib import Path

    from textdiff.config import nearest
    from textdiff.files import check_file, write_text
    from textdiff.recipes import about, recipes

    known = recipes()
    if settings.name is None:
        if settings.out is not None:
            raise UsageError(f"--out {settings.out}: which recipe? textdiff configs NAME --out ...")
        width = max(map(len, known))
        for name, file in known.items():
            print(f"{name:<{width}}  {about(file)}")
        return
    if settings.name not in known:
        raise UsageError(f"no recipe '{settings.name}'; {nearest(settings.name, list(known))}")
    text = known[settings.name].read_text(encoding="utf-8")
    if settings.out is None:
        print(text, end="")
        return
    check_file("--out", settings.out)
    if Path(settings.out).exists():
        raise UsageError(f"--out {settings.out} is there already; name another file")
    write_text(settings.out, text)
    print(f"{settings.out}: a copy of the recipe '{settings.name}'")
