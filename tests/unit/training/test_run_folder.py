"""The run folder's metrics survive what a crash or a disk does to them."""

from __future__ import annotations

import json

import pytest

from textdiff.config import Settings
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
