"""The command line: help, version, positional arguments, the scripts with names people type."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys

import pytest

import textdiff as package
from tests.helpers.command import textdiff
from tests.helpers.paths import ROOT
from textdiff.commands import cli
from textdiff.config import leaves
from textdiff.errors import EXTRAS, UsageError


def printed(capsys, *arguments: str) -> str:
    """What a command prints on its way to exit code 0."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 0
    return capsys.readouterr().out


def packed(text: str) -> str:
    """Without white space, which wrapping changes."""
    return "".join(text.split())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys, arguments):
    shown = printed(capsys, *arguments)
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert command.about in shown


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("plot", "did you mean 'plot schedules'?"),
        ("data", "did you mean 'data info' or 'data check'?"),
        ("smaple", "did you mean 'sample'?"),
        ("train_clip", "did you mean 'train-clip'?"),
        ("draw", "known: train, train-clip, "),
    ],
)
def test_an_unknown_command_is_answered_by_near_ones_only(word, hint):
    with pytest.raises(UsageError, match=re.escape(f"unknown command '{word}'; {hint}")):
        cli.run([word])


def test_version(capsys):
    assert printed(capsys, "--version") == f"textdiff {package.__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_lists_every_flag_with_its_meaning(capsys, name):
    command = cli.COMMANDS[name]
    shown = packed(printed(capsys, *name.split(), "--help"))
    schema = getattr(
        importlib.import_module(f"textdiff.commands.{command.module}"), command.settings
    )
    assert packed(command.about) in shown
    for key, field in leaves(schema):
        assert f"--{key.replace('_', '-')}" in shown
        assert field.description, key
        assert packed(field.description) in shown


COMMAND_OF = {"zero_shot": "classify"}  # of a script that is called otherwise


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (folder, path.stem)
        for folder in ("scripts", "evals")
        for path in sorted((ROOT / folder).glob("*.py"))
    ],
)
def test_scripts_are_the_commands_of_their_name(folder, name):
    """From another folder and without PYTHONPATH, as with an installed package elsewhere."""
    command = [sys.executable, str(ROOT / folder / f"{name}.py"), "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    command_name = COMMAND_OF.get(name, name.replace("_", "-"))
    assert done.stdout.startswith(f"usage: textdiff {command_name} [")
    assert done.stderr == ""


def test_module_is_the_command():
    done = textdiff("--version")
    assert (done.returncode, done.stdout) == (0, f"textdiff {package.__version__}\n")


def test_source_without_its_flag(capsys, shapes, tmp_path):
    sheet = tmp_path / "sheet.png"
    shown = printed(capsys, "data", "info", str(shapes), "--out", str(sheet))
    assert "train 8, val 4, test 4" in shown
    assert sheet.is_file()


def test_help_names_the_source(capsys):
    assert "usage: textdiff data info [data.source] " in printed(capsys, "data", "info", "--help")


def test_flags_may_be_written_with_underscores(capsys, shapes, tmp_path):
    sheet = str(tmp_path / "sheet.png")
    flags = ["--data.source", str(shapes), "--out", sheet, "--data.max_images=3"]
    assert re.search(r"images\W+3\b", printed(capsys, "data", "info", *flags))


def test_doctor_prints_the_facts(capsys):
    facts = dict(line.split("  ", 1) for line in printed(capsys, "doctor").splitlines())
    assert facts["textdiff"].strip() == package.__version__
    assert {"torch", "python", "devices", "precision auto", "capability"} <= {
        name.strip() for name in facts
    }
    assert {"cores", "allowed cores", "free cores", "threads"} <= {name.strip() for name in facts}
    assert {f"extra {extra}" for extra in EXTRAS} <= facts.keys()


def test_doctor_says_how_to_get_a_missing_extra(capsys, monkeypatch):
    monkeypatch.setattr(package.errors, "EXTRAS", {"track": {"no_such_module": "no-such-package"}})
    monkeypatch.setattr("textdiff.commands.doctor.EXTRAS", {"track": {}})
    monkeypatch.setattr("textdiff.precision.matmul_seconds", lambda *_: 1.0)
    monkeypatch.setattr("textdiff.training.precision.choose_precision", lambda *_: "no")
    expected = "missing: pip install no-such-package"
    assert expected in printed(capsys, "doctor")


def test_interrupted_by_the_keyboard(monkeypatch):
    def interrupted(_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("textdiff.commands.doctor.run", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor"])
    assert ended.value.code == 130


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_has_gone_is_no_traceback():
    """As `textdiff ... | head` leaves it."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "textdiff", "--help"],
        stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_signal_ends_a_command_in_one_line(tmp_path, shapes, monkeypatch, capsys):
    """And with the code by which a shell names it."""

    def signalled(*_arguments, **_settings):
        signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr("textdiff.data.inspect.inspect", signalled)
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", "info", str(shapes)])
    assert ended.value.code == 128 + signal.SIGHUP
    assert capsys.readouterr().err == "textdiff: ended by SIGHUP\n"
