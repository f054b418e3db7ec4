"""The command `compare` on files that other commands wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textdiff.commands import cli

SIZES = ["--data.image-size", "16", "--data.min-side", "4"]


@pytest.fixture
def evaluated(tiny_run, tiny_clip, shapes, tmp_path):
    """Runs an evaluation of the shapes; gives its file."""

    def path(name: str, command: str, *flags: str) -> Path:
        out = tmp_path / f"{name}.json"
        subject = ["--model", tiny_run] if command == "clip-score" else ["--clip", tiny_clip]
        usual = [*subject, "--data", shapes, *SIZES, "--feature-cache", "off", "--json", out]
        cli.run([command, *map(str, usual), *flags])
        return out

    return path


def scored(evaluated, name: str, *flags: str) -> Path:
    return evaluated(name, "clip-score", "--num-prompts", "6", "--num-steps", "2", *flags)


def test_two_ways_to_sample(evaluated, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    a, b = scored(evaluated, "a"), scored(evaluated, "b", "--seed", "7")
    capsys.readouterr()
    out = tmp_path / "difference.json"
    cli.run(["compare", str(a), str(b), "--json", str(out)])
    shown = capsys.readouterr()
    assert any("sampling.seed" in line and "7" in line for line in shown.out.splitlines())
    assert "note: Intervals over 6 pairs are too narrow; 30 are enough." in shown.err
    one, other, found = (json.loads(path.read_text()) for path in (a, b, out))
    (row,) = found["rows"]
    for side, document in (("a", one), ("b", other)):
        expected = document["results"]["drawn"]["mean"]
        assert row[side]["mean"] == pytest.approx(expected, abs=1e-4)
    assert row["difference"]["mean"] == pytest.approx(row["b"]["mean"] - row["a"]["mean"])
    assert (row["items"], found["evaluation"]) == (6, "clip-score")
    assert found["compared"] == [{"where": "sampling.seed", "a": 0, "b": 7}]
    assert found["common"]["data.fingerprint"] == one["data"]["fingerprint"]
    assert "torch" in found["versions"]


def test_the_same_file_twice(evaluated, capsys):
    path = str(evaluated("a", "retrieval", "--split", "all"))
    capsys.readouterr()
    cli.run(["compare", path, path])
    shown = capsys.readouterr()
    assert shown.out.count("the same") == 6
    assert "note: Both files are the same, to the byte." in shown.err


@pytest.fixture
def fails(capsys):
    """Its error of one line."""

    def message(*arguments: str | Path) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["compare", *map(str, arguments)])
        shown = capsys.readouterr()
        (line,) = shown.err.splitlines()
        assert ended.value.code == 2, line
        assert not shown.out
        return line.removeprefix("textdiff: error: ")

    return message


def test_other_protocols_are_refused(evaluated, fails, tmp_path):
    a = scored(evaluated, "a")
    b = scored(evaluated, "b", "--prompt-seed", "3", "--weight", "2.5")
    message = fails(a, b, "--json", tmp_path / "out.json")
    assert message == (
        f"{a} and {b} are of different protocols: prompt_seed is 0 and 3; weight is 100.0 and 2.5"
    )
    assert not (tmp_path / "out.json").exists()
    other = evaluated("other", "retrieval", "--split", "all")
    assert "give two files of one evaluation" in fails(a, other)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_files(fails, tmp_path, count):
    paths = [tmp_path / f"{k}.json" for k in range(count)]
    message = fails(*paths)
    assert (
        "files" in message
        if not count
        else f"give two files, A.json B.json, not {count}" in message
    )


def test_no_numbers(fails, tmp_path):
    (tmp_path / "a.json").write_text("none")
    assert "a.json cannot be read as JSON" in fails(tmp_path / "a.json", tmp_path / "b.json")
