"""Processes that wait for each other, each forked from one that has imported all.

`python -m tests.helpers.ranks` runs every one of `PAIRS` and `TRIOS`, all at once, and prints as
JSON how each process ended: exit code (negative: the signal), and what stood on stderr.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.two_processes import free_port

LIMIT = 6.0  # seconds without a count
PATIENCE = 120.0  # seconds after which those that have not ended are killed


def _stop_now() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _die_now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail() -> None:
    from textdiff.errors import DataError

    raise DataError("no image can be read")


def _bug() -> None:
    raise ZeroDivisionError("a bug")


def _be_signalled() -> None:
    from textdiff.stopping import interruptible

    with interruptible():
        signal.raise_signal(signal.SIGTERM)


def _work_long(accelerator: Any) -> None:
    from textdiff.training.processes import on_main

    assert on_main(accelerator, lambda: time.sleep(1.5 * LIMIT) or "made") == "made"


def _full_disk(accelerator: Any) -> None:
    from textdiff.training.processes import on_main

    def save() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "unet.safetensors")

    on_main(accelerator, save)


def _only(rank: int, act: Callable[[], None]) -> Callable[[Any], None]:
    """One acts, the other one waits for it."""

    def work(accelerator: Any) -> None:
        if accelerator.process_index == rank:
            act()
        accelerator.wait_for_everyone()

    return work


PAIRS: dict[str, Callable[[Any], None]] = {
    "long work of the main one": _work_long,
    "its disk is full": _full_disk,
    **{f"{rank} fails": _only(rank, _fail) for rank in (0, 1)},
    **{f"{rank} has a bug": _only(rank, _bug) for rank in (0, 1)},
    **{f"{rank} is stopped": _only(rank, _stop_now) for rank in (0, 1)},
    **{f"{rank} is killed": _only(rank, _die_now) for rank in (0, 1)},
    **{f"{rank} gets a signal": _only(rank, _be_signalled) for rank in (0, 1)},
}


def _never_come(_accelerator: Any) -> None:
    raise AssertionError("it met one that is not there")


PAIRS["1 never comes"] = _never_come


TRIOS = {f"{rank} of three is killed": _only(rank, _die_now) for rank in (1, 2)}


def _rank(work: Callable[[Any], None], rank: int, size: int, port: int, errors: Path) -> None:
    """The rest of the life of a forked process."""
    from textdiff.errors import TextdiffError
    from textdiff.training.continuable import stopped_by_signals
    from textdiff.training.launch import accelerator_for
    from textdiff.training.rank_watch import RankWatch

    os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port), ACCELERATE_USE_CPU="true",
    )  # fmt: skip
    code, patience = 0, 1.0
    if work is _never_come:
        patience = LIMIT / 60
        if rank == 1:
            os._exit(0)
    try:
        accelerator = accelerator_for("no", patience)
        with RankWatch(accelerator, LIMIT / 60), stopped_by_signals():
            work(accelerator)
    except TextdiffError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _ended(children: list[int]) -> list[int]:
    """Exit codes of all; one that is stopped is killed when another one has ended, and all are that
    take too long."""
    codes: dict[int, int] = {}
    deadline = time.monotonic() + PATIENCE
    while len(codes) < len(children):
        for child in set(children) - codes.keys():
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[child] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline or (codes and _is_stopped(child)):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return [codes[child] for child in children]


def _is_stopped(child: int) -> bool:
    return Path(f"/proc/{child}/stat").read_text().split()[2] == "T"


def main() -> None:
    import accelerate.utils  # noqa: F401 - before the forks
    import torch
    import torch.distributed

    import textdiff.training.launch
    import textdiff.training.precision
    import textdiff.training.rank_watch  # noqa: F401

    torch.set_num_threads(1)
    folder, started = Path(tempfile.mkdtemp()), {}
    for number, (name, work) in enumerate({**PAIRS, **TRIOS}.items()):
        port, started[name] = free_port(), []
        size = 3 if name in TRIOS else 2
        for rank in range(size):
            child = os.fork()
            if child == 0:
                _rank(work, rank, size, port, folder / f"{number}-{rank}")
            started[name].append(child)
    ended = {}
    for number, (name, children) in enumerate(started.items()):
        codes = _ended(children)
        said = [(folder / f"{number}-{rank}").read_text() for rank in range(len(codes))]
        ended[name] = list(zip(codes, said, strict=True))
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
