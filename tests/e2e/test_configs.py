"""Recipes have names, which work outside a clone and from an installed wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.command import python
from tests.helpers.paths import ROOT
from textdiff.commands.cli import run
from textdiff.config import config_file, read_yaml
from textdiff.errors import UsageError
from textdiff.recipes import about, recipes

FILES = sorted((ROOT / "configs").rglob("*.yaml"))


def test_every_file_has_a_name_and_says_what_it_is():
    assert sorted(recipes().values()) == FILES
    assert {"quickstart", "openmoji", "objectives/v_hybrid"} < recipes().keys()
    assert all(10 < len(about(file)) <= 100 for file in FILES)


def test_they_are_listed_and_printed(capsys):
    run(["configs"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(recipes())
    assert all(len(line) < 130 for line in listed)
    run(["configs", "objectives/v"])
    assert capsys.readouterr().out == (ROOT / "configs/objectives/v.yaml").read_text()


def test_a_copy_is_for_changing_and_overwrites_nothing(tmp_path, capsys):
    mine = tmp_path / "sub" / "mine.yaml"
    run(["configs", "quickstart", "--out", str(mine)])
    assert mine.read_text() == (ROOT / "configs" / "quickstart.yaml").read_text()
    mine.write_text("changed")
    with pytest.raises(UsageError, match="is there already; name another file"):
        run(["configs", "quickstart", "--out", str(mine)])
    assert mine.read_text() == "changed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quikstart"], "no recipe 'quikstart'; did you mean 'quickstart'?"),
        (["--out", "a.yaml"], "--out a.yaml: which recipe? textdiff configs NAME --out ..."),
    ],
)
def test_what_cannot_be_shown(words, said):
    with pytest.raises(UsageError) as error:
        run(["configs", *words])
    assert str(error.value) == said


def test_a_file_of_that_name_comes_first_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert config_file("quickstart") == recipes()["quickstart"]
    (tmp_path / "openmoji").write_text("seed: 1")
    assert config_file("openmoji") == Path("openmoji")


@pytest.mark.parametrize("name", ["configs/quickstart.yaml", "quickstart.yaml", "quickstrat"])
def test_a_path_that_is_not_there_may_mean_a_recipe(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        run(["train", "--config", name, "--clip", "c", "--run-dir", "r"])
    hint = "did you mean the recipe 'quickstart'? 'textdiff configs' lists them"
    assert str(error.value) == f"config file {name} does not exist; {hint}"


@pytest.mark.parametrize(
    ("decoder", "model"), [("decoder_scenes", "quickstart"), ("decoder_openmoji", "openmoji")]
)
def test_decoders_differ_from_the_model_they_are_compared_with_in_drop_rates_alone(decoder, model):
    one, other = (read_yaml(recipes()[name]) for name in (decoder, model))
    assert one == {**other, "caption_drop": 0.5, "image_drop": 0.1}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What a wheel holds, in a folder; built from a copy, for builds leave files behind."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    for name in ("textdiff", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--wheel-dir", str(base), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = base.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(base / "site")
    return base / "site"


@pytest.mark.slow
def test_a_wheel_brings_them(installed, tmp_path):
    held = installed / "textdiff" / "configs"
    assert sorted(p.relative_to(held) for p in held.rglob("*.yaml")) == [
        path.relative_to(ROOT / "configs") for path in FILES
    ]
    outside = {"cwd": tmp_path, "env": {"PYTHONPATH": str(installed)}}
    listed = python("-m", "textdiff", "configs", **outside)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(recipes())


@pytest.mark.slow
def test_the_quickstart_starts_from_a_wheel(installed, tmp_path):
    """Its first step, which reads a recipe; the others are those of a clone."""
    script = (
        "from textdiff.commands import quickstart as q, cli\n"
        "commands = q.steps(None, __import__('pathlib').Path('run'))\n"
        "cli.run(commands[0][1])\n"
    )
    done = python("-c", script, cwd=tmp_path, env={"PYTHONPATH": str(installed)})
    assert done.returncode == 0, done.stderr
    assert "2,411" in done.stdout
    assert (tmp_path / "run" / "data.png").is_file()
