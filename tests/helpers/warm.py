"""Commands in processes of their own that need not import PyTorch first.

A server per test worker has imported what is heavy; each command is a fork of it, with arguments,
environment, output and exit code of its own. What a command is before its imports (how soon it
answers `--help`, which libraries it does without) is for `command.python`, a fresh interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.helpers.paths import ROOT

HEAVY = ["torch", "accelerate", "open_clip", "diffusers.models", "tests.helpers.warm"]
TIMEOUT = 900


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    return context


def _become(words: list[str], out: str, err: str) -> None:
    """Does what a Python started with these words does, and ends as it does."""
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        stream.flush()
        os.dup2(os.open(path, os.O_WRONLY), stream.fileno())
    os.chdir(ROOT)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """As `command.python`: of a script, or of a module after "-m"."""
    words = list(map(str, arguments))
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        process = _server().Process(target=_become, args=(words, out.name, err.name))
        process.start()
        process.join(TIMEOUT)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, TIMEOUT)
        code = process.exitcode
        process.close()
        return subprocess.CompletedProcess(words, code, out.read(), err.read())
