"""Types and shapes checked in the rooms of formulas, while tests run: at the first `CALLS` calls of
each function in each test. Samplers and trainings call with the same shapes again and again, and
checking all of it took as long as the tests.

jaxtyping's import hook gives each function of theirs its own memory of axis names, so that `batch`
in two arguments is one number. Modules that are imported before `install` stay as they are, and so
do the programs that tests start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

ROOMS = ["diffusion", "sampling", "guidance", "models", "metrics", "binary", "clip.contrastive"]
FILES = ["pictures", "embeddings"]
CALLS = 8

_every_call = jaxtyping.jaxtyped
_test = 0


def next_test() -> None:
    """From here on the first calls are checked again."""
    global _test
    _test += 1


def _first_calls(*, typechecker: Callable) -> Callable:
    """In place of `jaxtyping.jaxtyped`, by which jaxtyping's hook decorates."""
    decorate = _every_call(typechecker=typechecker)

    def sampled(thing: Callable) -> Callable:
        checked = decorate(thing)
        if isinstance(thing, type):
            return checked
        test, calls = 0, 0

        @wraps(thing)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal test, calls
            if test != _test:
                test, calls = _test, 0
            calls += 1
            return (checked if calls <= CALLS else thing)(*args, **kwargs)

        return call

    return sampled


def check(function: Callable) -> Callable:
    """`function` that refuses arguments of other types; an int is a float, as for type checkers."""
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def install() -> None:
    jaxtyping.jaxtyped = _first_calls
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
