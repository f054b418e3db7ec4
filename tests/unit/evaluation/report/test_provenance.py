"""The command that repeats a report, and its protocol."""

from __future__ import annotations

import shlex

import pytest

from tests.helpers.command import settings_of
from tests.helpers.protocols import CLIP, DATA, MODEL
from textdiff.evaluation.report.document import Facts, Missing
from textdiff.evaluation.report.provenance import Measured, command, provenance
from textdiff.evaluation.report.run_files import open_run


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--judge", "runs/a b", "runs/c", "--seed", "-3", "--split", "val"],
        ["--clip-guidance-scale", "2", "--clip-prompts", "a", "--graphs", "false"],
        ["--data", "scenes", "--data.object-names", "star", "fish", "--limit", "none"],
        ["--negative-prompt=--not a flag", "--guidance-interval", "10", "20"],
        ["--negative-prompt", "it's; rm -rf $HOME"],
    ],
)
def test_the_command_gives_the_same_settings(flags):
    settings = settings_of(["report", "--run", "runs/x", *flags])
    words = shlex.split(command(settings))
    assert words[0] == "textdiff"
    assert settings_of(words[1:]) == settings


def test_what_a_config_file_says_is_written_out(tmp_path):
    (tmp_path / "few.yaml").write_text("num_steps: 7\ndata: {source: scenes, objects: 24}\n")
    settings = settings_of(["report", "--run", "x", "--config", tmp_path / "few.yaml"])
    said = command(settings)
    assert "--num-steps 7" in said
    assert "--data.objects 24" in said
    assert "few.yaml" not in said


def test_where_results_go_is_left_to_who_repeats_it():
    settings = settings_of(["report", "--run", "x", "--out", "o.html", "--json", "o.json"])
    assert command(settings) == "textdiff report --run x"


def test_protocol_on_the_page_and_in_json(tiny_run):
    settings = settings_of(["report", "--run", "x", "--num-images", "3"])
    what = Measured(model=MODEL, clips=[CLIP], data={"val": DATA}, prompts={"val": 5})
    part = provenance(settings, open_run(str(tiny_run)), what)
    titles = [block.title for block in part.section.blocks if isinstance(block, Facts)]
    assert titles[:3] == ["Model", f"CLIP {CLIP.name}", "Data, split val"]
    assert part.numbers["sampling"]["num_steps"] == 50
    assert (part.numbers["num_images"], part.numbers["prompts"]) == (3, {"val": 5})
    assert part.numbers["data"]["val"]["fingerprint"] == DATA.fingerprint


def test_a_folder_without_settings_says_so(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    part = provenance(settings_of(["report", "--run", "x"]), open_run(str(tmp_path)), Measured())
    (missing,) = (block for block in part.section.blocks if isinstance(block, Missing))
    assert "no config.yaml" in missing.why
    assert part.numbers["sampling"] is None
