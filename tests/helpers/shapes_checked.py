"""Types and shapes checked in the rooms of formulas, while tests run: of each function the first
call with arguments of these types, dtypes and shapes. Samplers and trainings call with the same
ones again and again, and checking all of it took as long as the tests.

jaxtyping's import hook gives each function of theirs its own memory of axis names, so that `batch`
in two arguments is one number. Modules that are imported before `install` stay as they are, and so
do the programs that tests start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import jaxtyping
import torch
from beartype import BeartypeConf, beartype

ROOMS = ["diffusion", "sampling", "guidance", "models", "metrics", "binary", "clip.contrastive"]
FILES = ["pictures", "embeddings"]

_every_call = jaxtyping.jaxtyped


def _kind(argument: object) -> Hashable:
    if isinstance(argument, torch.Tensor):
        return argument.shape, argument.dtype
    if isinstance(argument, (list, tuple)):
        return type(argument), tuple(map(_kind, argument))
    return type(argument)


def _new_kinds(*, typechecker: Callable) -> Callable:
    """In place of `jaxtyping.jaxtyped`, by which jaxtyping's hook decorates."""
    decorate = _every_call(typechecker=typechecker)

    def once(thing: Callable) -> Callable:
        checked = decorate(thing)
        if isinstance(thing, type):
            return checked
        passed: set[Hashable] = set()

        @wraps(thing)
        def call(*args: Any, **kwargs: Any) -> Any:
            kind = _kind(args), tuple(kwargs), _kind(tuple(kwargs.values()))
            if kind in passed:
                return thing(*args, **kwargs)
            result = checked(*args, **kwargs)
            if not jaxtyping.config.jaxtyping_disable:
                passed.add(kind)
            return result

        return call

    return once


def check(function: Callable) -> Callable:
    """`function` that refuses arguments of other types; an int is a float, as for type checkers."""
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def install() -> None:
    jaxtyping.jaxtyped = _new_kinds
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
