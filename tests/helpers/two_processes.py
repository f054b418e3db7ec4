"""Commands in two processes that train together, without a launcher: it would cost as much as the
training. `python -m tests.helpers.two_processes JOBS.json` is what each of them runs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.helpers.paths import ROOT


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run_in_two_processes(jobs: list[list[str]], folder: Path) -> None:
    """Runs the command lines `jobs` one after the other. `folder`: for what the processes need."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.two_processes", str(folder / "jobs.json")],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        outputs = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    for process, output in zip(started, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]


if __name__ == "__main__":
    from textdiff.commands.cli import run

    for job in json.loads(Path(sys.argv[1]).read_text()):
        run(job)
