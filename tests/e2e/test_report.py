"""`textdiff report`: of a model, of a CLIP, of runs that are not whole, and in a browser."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.helpers.chromium import VARIABLE, find_chromium, laid_out
from tests.helpers.pages import Page, faults
from tests.helpers.workers import prepared_once
from textdiff.commands.cli import run
from textdiff.errors import EXIT_BAD_CHECKPOINT, CheckpointError, UsageError

FAST = ["--num-steps", "2", "--num-prompts", "4", "--examples", "3"]


@pytest.fixture(scope="session")
def written(tmp_path_factory, tiny_run, other_clip) -> Path:
    """A folder with report.html and report.json of a tiny model."""

    def write(folder: Path) -> None:
        folder.mkdir()
        out, numbers = folder / "report.html", folder / "report.json"
        command = ["report", "--run", str(tiny_run), "--judge", str(other_clip), *FAST]
        run([*command, "--out", str(out), "--json", str(numbers)])

    return prepared_once(tmp_path_factory, "report", write)


@pytest.mark.slow
def test_a_model(written, tiny_run, other_clip):
    text = (written / "report.html").read_text()
    assert faults(text) == []
    page, numbers = Page.of(text), json.loads((written / "report.json").read_text())
    sections = {"summary", "learning", "timeline", "composition", "following", "distribution"}
    assert sections | {"protocol"} <= page.ids
    assert numbers["kind"] == "text-to-image model"
    judged = numbers["judged"][str(other_clip)]["train"]
    assert (judged["prompts"], judged["pictures"]) == (4, 8)
    assert judged["R@1"]["chance"] == 0.25
    assert numbers["distribution"]["drawn"]["pictures"] == 8
    assert numbers["model"]["name"] == str(tiny_run)
    assert numbers["data"]["train"]["split"] == "train"
    # no facts, too few held-out pictures: said on the page, not passed over
    assert [each.partition(":")[0] for each in numbers["missing"]] == ["Composition"]
    assert "without facts" in page.text
    assert "No share of copies" in page.text
    assert "whose prompt the CLIP ranks first among 4 prompts" in page.text


@pytest.mark.slow
def test_the_command_that_repeats_it_does(written, tmp_path):
    numbers = written / "report.json"
    words = shlex.split(json.loads(numbers.read_text())["command"])[1:]
    run([*words, "--out", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")])
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(numbers.read_text())


@pytest.mark.slow
def test_a_clip(tiny_clip, tmp_path):
    out, numbers = tmp_path / "report.html", tmp_path / "report.json"
    run(["report", "--run", str(tiny_clip), "--out", str(out), "--json", str(numbers)])
    assert faults(out.read_text()) == []
    found = json.loads(numbers.read_text())
    assert found["kind"] == "CLIP"
    assert {split: each["searched"] for split, each in found["retrieval"].items()} == {
        "val": 4,
        "test": 4,
    }
    assert found["retrieval"]["val"]["results"]["image_to_text"]["R@1"]["chance"] == 0.25


def test_a_run_that_was_interrupted_before_its_first_checkpoint(run_copy, capsys):
    shutil.rmtree(run_copy / "checkpoints")
    shutil.rmtree(run_copy / "samples")
    run(["report", "--run", str(run_copy)])
    text = (run_copy / "report.html").read_text()
    assert faults(text) == []
    page = Page.of(text)
    assert "Training loss" in page.text
    assert "no checkpoint yet" in page.text
    assert "--preview.num-prompts" in page.text
    assert "not in the report: Measurements" in capsys.readouterr().out


def test_nothing_but_settings(tmp_path):
    (tmp_path / "config.yaml").write_text("run_dir: <b>\n")
    run(["report", "--run", str(tmp_path)])
    text = (tmp_path / "report.html").read_text()
    assert faults(text) == []
    assert "run_dir: <b>" in Page.of(text).text
    assert "no metrics.jsonl" in text


@pytest.mark.slow
def test_an_exported_model_must_be_told_its_data(tiny_run, pipe, shapes, tmp_path):
    pipe.save(tmp_path / "model")
    out = tmp_path / "report.html"
    command = ["report", "--run", str(tmp_path / "model"), "--out", str(out), *FAST]
    run(command)
    assert "Name the images: --data SOURCE" in Page.of(out.read_text()).text
    run([*command, "--data", str(shapes), "--data.min-side", "4"])
    text = Page.of(out.read_text()).text
    assert "which flatters its pictures" in text
    assert "--judge FOLDER" in text


def test_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist; give a run folder") as refusal:
        run(["report", "--run", str(tmp_path / "runs" / "x")])
    assert refusal.value.exit_code == EXIT_BAD_CHECKPOINT
    assert not (tmp_path / "runs").exists()


def test_the_models_own_clip_is_no_judge(tiny_run, tmp_path):
    out = tmp_path / "report.html"
    command = ["report", "--run", str(tiny_run), "--judge", str(tiny_run / "clip")]
    with pytest.raises(UsageError, match=r"the CLIP that .* was trained with"):
        run([*command, "--out", str(out)])
    assert not out.exists()


def test_a_split_named_twice():
    with pytest.raises(UsageError, match="names one twice"):
        run(["report", "--run", "x", "--split", "val", "val"])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_a_browser_shows_it_at_the_width_of_a_phone_and_of_a_screen(
    written, tmp_path, width, height
):
    browser = find_chromium()
    if browser is None:
        pytest.skip(f"no Chromium or Chrome here; name one in {VARIABLE}")
    page = laid_out(browser, written / "report.html", width, height, tmp_path)
    assert page["width"] == width
    assert page["scrollWidth"] <= width
    assert page["tooWide"] == []
    assert page["images"] > 10
    assert page["broken"] == 0
    assert page["fetched"] == []
    assert page["small"] == []
    assert page["height"] > height
