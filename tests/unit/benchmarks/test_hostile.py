"""The benchmark of hostile data, small: everything planted is counted, and a training ends."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import io

import pytest

from tests.helpers.paths import ROOT
from textdiff.commands.cli import run


@pytest.fixture
def hostile(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("hostile")


@pytest.fixture
def benchmark(hostile, monkeypatch):
    """Its commands run here: what a process takes is not the point."""

    def ran(*words: object):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            run(list(map(str, words)))
        return hostile.Ran(0, output.getvalue(), 0.0, 0.0)

    monkeypatch.setattr(hostile, "ran", ran)
    return hostile


def test_a_small_folder(tmp_path, benchmark):
    options = argparse.Namespace(files=90, image_size=16, steps=2, json=None)
    outcome = benchmark.measure(tmp_path, options)
    assert outcome.wrong == {} and outcome.same
    assert outcome.met == outcome.unusable > 0
    assert outcome.as_promised
    assert not dataclasses.replace(outcome, wrong={"truncated": (1, 0)}).as_promised


@pytest.mark.parametrize(
    ("body", "output"), [("print('said')", "said"), ("raise SystemExit(3)", "")]
)
def test_what_a_process_held_is_known(hostile, monkeypatch, body, output):
    program = hostile.MEASURED.replace("main(sys.argv[1:])", body)
    monkeypatch.setattr(hostile, "MEASURED", program.replace("from textdiff", "# from textdiff"))
    done = hostile.ran("any")
    assert done.output == output and done.memory > 1
    assert done.code == (3 if "SystemExit" in body else 0)


def test_a_process_that_is_killed_is_said(hostile, monkeypatch, capsys):
    program = "import os; os.write(2, b'last words'); os.kill(os.getpid(), 9)"
    monkeypatch.setattr(hostile, "MEASURED", program)
    with pytest.raises(SystemExit, match="'data check' ended with -9"):
        hostile.ran("data", "check", "folder")
    assert "last words" in capsys.readouterr().err
