"""A training that is interrupted outside its steps ends with 75, and leaves no half of a file."""

from __future__ import annotations

import signal

import pytest

from textdiff.commands import cli
from textdiff.errors import EXIT_STOPPED, StoppedBySignalError
from textdiff.stopping import Interrupted
from textdiff.training import run as training
from textdiff.training.continuable import stopped_by_signals
from textdiff.training.specs import clip as spec


@pytest.fixture
def command(configs, shapes, tmp_path):
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes]
    return list(map(str, ["train-clip", *flags, "--run-dir", tmp_path / "run"]))


def signalled(*_arguments, **_settings):
    signal.raise_signal(signal.SIGTERM)


WHERE = {
    "data are opened": (spec, "open_data"),
    "the folder is prepared": (training, "_prepare"),
    "caches are filled": (training.Trainer, "prepare_data"),
    "the first evaluation": (spec.ContrastiveTask, "evaluate"),
    "it is finished": (training, "report_rejected"),
}


@pytest.mark.parametrize("where", WHERE)
def test_it_ends_with_75_and_the_same_command_goes_on(
    command, tmp_path, monkeypatch, where, capsys
):
    with monkeypatch.context() as patch:
        patch.setattr(*WHERE[where], signalled)
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
    assert ended.value.code == EXIT_STOPPED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("textdiff: error: stopped by ")
    assert line.endswith("run the same command again to continue")
    assert list(tmp_path.rglob(".*")) == []
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 0


@pytest.mark.parametrize("flag", ["--dry-run", "--check=overfit"])
def test_of_what_keeps_nothing_the_code_is_the_signals(
    command, tmp_path, monkeypatch, flag, capsys
):
    monkeypatch.setattr(spec, "open_data", signalled)
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, flag])
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "textdiff: ended by SIGTERM\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_on_the_way_out_does_not_change_what_is_said():
    """`timeout`'s second signal, or the end of a launcher, while files are closed."""
    with pytest.raises(StoppedBySignalError, match=r"^stopped at step 3$"), stopped_by_signals():
        try:
            raise StoppedBySignalError("stopped at step 3")
        finally:
            raise Interrupted(signal.SIGTERM)
