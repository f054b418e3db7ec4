"""The run folder's metrics survive what a crash or a disk does to them."""

from __future__ import annotations

import errno
import json
import resource

import pytest

from textdiff.config import Settings
from textdiff.errors import UsageError
from textdiff.training import run_folder
from textdiff.training.run_folder import RunFolder


def restarted(folder, step: int) -> list[int]:
    RunFolder(folder).start(Settings(), step, tensorboard=False)
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()]


def lines(*steps: int) -> list[bytes]:
    return [json.dumps({"step": step, "loss": 0.5}).encode() for step in steps]


@pytest.mark.parametrize(
    "bad",
    [b'{"step": 2, "lo\xffss": 0.5}', b"\x00\x00\x00", b'{"st', b"[1]", b"7", b"[" * 100_000,
     b'{"step": NaN}', '{"step": 2, "a": "\u2028'.encode()],
    ids=["byte", "zeros", "torn", "list", "number", "deep", "nan", "separator"],
)  # fmt: skip
def test_a_bad_line_is_dropped_and_said(tmp_path, capsys, bad):
    one, three, four = lines(1, 3, 4)
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([one, bad, three, four]) + b"\n")
    assert restarted(tmp_path, 3) == [1, 3]
    said = capsys.readouterr().out
    assert said == (
        f"{tmp_path / 'metrics.jsonl'}: dropped what cannot be read as JSON with a step: line 2\n"
    )


def test_a_torn_last_line_does_not_run_into_the_next(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*lines(1), b'{"step": 2, "lo']))
    folder = RunFolder(tmp_path)
    folder.start(Settings(), 1, tensorboard=False)
    folder.log(2, {"loss": 0.25})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2]


def test_whole_files_are_cut_in_silence(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines(1, 2, 3)) + b"\n")
    assert restarted(tmp_path, 2) == [1, 2]
    assert capsys.readouterr().out == ""


def test_a_line_that_the_disk_did_not_take_comes_with_the_next(tmp_path, monkeypatch, capsys):
    folder, append = RunFolder(tmp_path), run_folder._append

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folder, "_append", full)
    folder.log(1, {"loss": 0.5})
    folder.log(2, {"loss": 0.5})
    monkeypatch.setattr(run_folder, "_append", append)
    folder.log(3, {"loss": 0.5})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert capsys.readouterr().err.count("training goes on, but metrics cannot be written") == 1
    with pytest.raises(UsageError, match=r"went on to its end, but metrics cannot be written"):
        folder.check()


def test_half_a_line_is_taken_back(tmp_path):
    """A file may grow to 40 bytes; the second line would end at 58."""
    file = tmp_path / "metrics.jsonl"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limit[1]))
    try:
        run_folder._append(file, lines(1)[0] + b"\n")
        with pytest.raises(OSError, match=r"too large|No space"):
            run_folder._append(file, lines(2)[0] + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.read_bytes() == lines(1)[0] + b"\n"


def test_a_run_without_trouble_says_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log(1, {"loss": 0.5})
    folder.check()


def test_an_evaluation_that_will_be_made_again_is_cut(tmp_path):
    """The process that made it was killed before it saved that it had."""
    rows = [
        {"step": 5, "held_out": 0.1},
        {"step": 10, "loss": 0.5, "images_per_second": 3.0},
        {"step": 10, "skipped_steps": 1},
        {"step": 10, "held_out": 0.1},
    ]
    file = tmp_path / "metrics.jsonl"
    for evaluated, kept in ((True, rows), (False, rows[:3])):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        RunFolder(tmp_path).start(Settings(), 10, tensorboard=False, evaluated=evaluated)
        assert [json.loads(line) for line in file.open()] == kept


def test_a_run_that_begins_again_has_no_rows(tmp_path):
    """It was killed after its first evaluation, before any checkpoint."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "held_out": 0.1}\n')
    assert restarted(tmp_path, 0) == []
