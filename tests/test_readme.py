"""What the README promises exists."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from textdiff.commands.cli import COMMANDS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_relative_link_and_named_script_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    named = re.findall(r"\b(?:scripts|evals|configs|benchmarks)/\w+\.(?:py|yaml)", TEXT)
    assert links
    assert named
    missing = [path for path in [*links, *named] if not (ROOT / path).is_file()]
    assert not missing


def test_every_command_is_in_the_table_and_nothing_is_left_to_fill_in():
    assert [name for name in COMMANDS if f"`textdiff {name}" not in TEXT] == []
    assert "@@" not in TEXT


def test_every_flag_exists():
    from textdiff.commands.clip_score import ClipScoreSettings
    from textdiff.commands.prompt_following import PromptFollowingSettings
    from textdiff.commands.sample import SampleSettings
    from textdiff.commands.train import TrainSettings
    from textdiff.commands.train_clip import TrainClipSettings
    from textdiff.config import SHORT_FLAGS, leaves

    schemas = (TrainSettings, TrainClipSettings, SampleSettings, PromptFollowingSettings)
    keys = {key for schema in (*schemas, ClipScoreSettings) for key, _ in leaves(schema)}
    flags = {"--" + key.replace("_", "-") for key in keys} | set(SHORT_FLAGS.values())
    of_others = {"--config", "--help", "--cpu", "--num_processes", "--num_machines"}
    of_others |= {"--machine_rank", "--main_process_ip", "--main_process_port", "--nproc_per_node"}
    used = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", TEXT))
    assert used - flags - of_others == set()
