"""What the README and docs promise exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from textdiff.commands.cli import COMMANDS
from textdiff.config import leaves, short_flags

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OF_LAUNCHERS = {
    *("--config", "--help", "--cpu", "--num_processes", "--num_machines", "--machine_rank"),
    *("--main_process_ip", "--main_process_port", "--nproc_per_node"),
    *("--time", "--requeue", "--open-mode", "--signal"),
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


@each_page
def test_every_relative_link_and_named_script_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    named = re.findall(
        r"\b(?:scripts|evals|configs|benchmarks|textdiff|tests|examples|docs)/[\w/]+\.(?:py|yaml)",
        text,
    )
    assert links
    assert named
    missing = [link for link in links if not (page.parent / link).is_file()]
    assert missing + [name for name in named if not (ROOT / name).is_file()] == []


def test_every_file_that_contributors_are_sent_to_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = "textdiff|tests|docs|evals|examples|benchmarks"
    named = re.findall(rf"`((?:{folders})/[\w/]+(?:\.\w+|/))`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_nothing_is_left_to_fill_in(page: Path):
    assert "@@" not in page.read_text(encoding="utf-8")


def test_every_command_is_in_the_table():
    text = README.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`textdiff {name}" not in text] == []


@each_page
def test_every_flag_exists(page: Path):
    flags = set()
    for command in COMMANDS.values():
        module = importlib.import_module(f"textdiff.commands.{command.module}")
        schema = getattr(module, command.settings)
        flags |= {"--" + key.replace("_", "-") for key, _ in leaves(schema)}
        flags.update(*short_flags(schema).values())
    used = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", page.read_text(encoding="utf-8")))
    assert used - flags - OF_LAUNCHERS == set()
