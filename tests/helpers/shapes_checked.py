"""Types and shapes checked at every call of the rooms of formulas, while tests run.

jaxtyping's import hook gives each function of theirs its own memory of axis names, so that `batch`
in two arguments is one number. Modules that are imported before `install` stay as they are, and so
do the programs that tests start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jaxtyping
from beartype import BeartypeConf, beartype

ROOMS = ["diffusion", "sampling", "guidance", "models", "metrics", "binary", "clip.contrastive"]
FILES = ["pictures", "embeddings"]


def check(function: Callable) -> Callable:
    """`function` that refuses arguments of other types; an int is a float, as for type checkers."""
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def install() -> None:
    names = [f"textdiff.{name}" for name in ROOMS + FILES]
    jaxtyping.install_import_hook(names, f"{__name__}.check")


@contextmanager
def not_checked() -> Iterator[None]:
    """Lets what is wrong reach the functions, whose own refusals are then tested."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
