"""Trainings that are killed, each in a process that was forked from one which has imported all.

A forked process is a real one: SIGKILL ends it without a word, and what it had on disk stays as it
was. It starts in a hundredth of a second, where Python with torch takes three.

    events    what Python is about to do to files: open for writing, rename, remove, make and remove
              folders, change modes, flush; safetensors' writing, which Python does not see
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.truncate"}
# of rows of metrics and of states: what a clock says
TIMES = {"seconds", "images_per_second", "loader_share", "examination_seconds", "waited"}


@dataclass(frozen=True)
class Ended:
    """How a process ended. code: exit code, None: it was killed. events: that it had had, and
    modules that it had imported, where it lived to say so. seconds: it lasted."""

    code: int | None
    seconds: float
    events: int = 0
    modules: tuple[str, ...] = ()


class Events:
    """Counts what this process does to files, from `watch` on, and kills it before one of them.

    kill_before: its number, from 1 on, or a part of the path that it is about.
    """

    def __init__(self, kill_before: int | str | None = None) -> None:
        self.count, self.kill_before = 0, kill_before

    def happen(self, path: object = "") -> None:
        self.count += 1
        named = isinstance(self.kill_before, str) and self.kill_before in str(path)
        if named or self.count == self.kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """For the rest of this process's life."""
        import safetensors.torch

        def audited(event: str, arguments: tuple[Any, ...]) -> None:
            if event in EVENTS or (event == "open" and arguments[2] & WRITING):
                self.happen(arguments[0])

        sys.addaudithook(audited)
        for module, name in ((os, "fsync"), (safetensors.torch, "save_file")):
            setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.happen()
            return work(*arguments, **options)

        return counted


def forked(
    work: Callable[[], None],
    log: Path,
    *,
    kill_before: int | str | None = None,
    kill_after: float | None = None,
) -> Ended:
    """`work` in a process of its own.

    Args:
        log: what it prints is added there.
        kill_before: a file event, see `Events`. kill_after: seconds.
    """
    reading, writing = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run(work, log, writing, kill_before)
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)  # nobody has waited for it yet: the number is its own
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    told = json.loads(said) if code == 0 else {}
    return Ended(code, time.monotonic() - start, **told)


def import_all(names: Iterable[str]) -> None:
    """What a forked process had to import, so that the next ones need not."""
    for name in names:
        with suppress(Exception):  # one that is no file, or wants to be imported by another
            importlib.import_module(name)


def _run(work: Callable[[], None], log: Path, writing: int, kill_before: int | str | None) -> None:
    """The rest of the life of a forked process."""
    code = 1
    try:
        sys.stdout = sys.stderr = log.open("a", buffering=1)
        for stream in (1, 2):
            os.dup2(sys.stdout.fileno(), stream)
        events = Events(kill_before)
        events.watch()
        work()
        said = json.dumps({"events": events.count, "modules": sorted(sys.modules)}).encode()
        while said:
            said = said[os.write(writing, said) :]
        code = 0
    except BaseException as error:
        traceback.print_exc()
        code = getattr(error, "exit_code", 1)
    finally:
        sys.stdout.flush()
        os._exit(code)


def fingerprint(run: Path) -> dict[str, str]:
    """SHA-256 of every file under a run folder by name, without what a clock said."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    return {p.relative_to(run).as_posix(): hashlib.sha256(_lasting(p)).hexdigest() for p in files}


def _lasting(file: Path) -> bytes:
    """The content of a file but for times, and for hashes of files that hold some."""
    content = file.read_bytes()
    if file.name == "metrics.jsonl":
        return json.dumps([_timeless(json.loads(line)) for line in content.splitlines()]).encode()
    if file.name == "state.json":
        return json.dumps(_timeless(json.loads(content))).encode()
    if file.name == "manifest.json" and file.parent.name.startswith("step-"):
        listed = json.loads(content)
        listed["files"].pop("state.json", None)
        return json.dumps(listed).encode()
    if file.name == "export.json":
        return json.dumps(json.loads(content) | {"manifest": ""}).encode()
    return content


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def differing(expected: dict[str, str], found: dict[str, str]) -> tuple[list[str], list[str]]:
    """Names of files that are missing or of another content; and of those that are too many."""
    wrong = [name for name, digest in expected.items() if found.get(name) != digest]
    return wrong, sorted(found.keys() - expected.keys())


def fresh_copy(source: Path | None, folder: Path) -> None:
    """`folder` as `source` is; None: nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    if source is not None:
        shutil.copytree(source, folder)
