"""Real processes: exit codes, what each is told of the others, signals."""

import os
import signal
import sys
import threading
import time

import pytest

from textdiff.commands import processes
from textdiff.commands.processes import environments, run_step


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("count", [1, 2])
def test_the_exit_code_is_the_steps(count):
    assert run_step(python("raise SystemExit(0)"), count) == 0
    assert run_step(python("raise SystemExit(7)"), count) == 7


def test_each_knows_its_rank_and_all_one_port(tmp_path):
    code = (
        "import os, pathlib; e = os.environ; pathlib.Path(e['RANK'] + '.txt').write_text("
        "' '.join(e[k] for k in ('LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')))"
    )
    assert run_step(["env", f"--chdir={tmp_path}", *python(code)], 2) == 0
    first, second = ((tmp_path / f"{rank}.txt").read_text().split() for rank in (0, 1))
    assert (first[0], second[0]) == ("0", "1")
    assert first[1:3] == ["2", "127.0.0.1"] and first[1:] == second[1:]
    assert environments(1) == [None]


def test_one_that_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.2)
    code = "import os, time; os.environ['RANK'] == '1' and os._exit(3); time.sleep(60)"
    start = time.monotonic()
    assert run_step(python(code), 2) == 3
    assert time.monotonic() - start < 30


def test_a_signal_reaches_all(tmp_path):
    code = (
        "import os, signal, time, pathlib; "
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(75)); "
        "pathlib.Path(os.environ['RANK']).touch(); time.sleep(60)"
    )

    def when_ready() -> None:
        while not all((tmp_path / rank).exists() for rank in "01"):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=when_ready, daemon=True).start()
    assert run_step(["env", f"--chdir={tmp_path}", *python(code)], 2) == 75
