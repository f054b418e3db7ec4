"""The published protocols: each on a stand-in in its layout, and as docs/metrics.md lists them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.helpers.command import settings_of
from tests.helpers.paths import ROOT
from tests.helpers.published import (
    captions_of,
    write_coco,
    write_karpathy_coco,
    write_karpathy_flickr,
)
from textdiff.commands import cli
from textdiff.recipes import recipes

PROTOCOLS = [name for name in recipes() if name.startswith("protocols/")]
TABLE = re.findall(
    r"^\| `(protocols/\w+)` \| `textdiff ([\w-]+)` \|",
    (ROOT / "docs" / "metrics.md").read_text("utf-8"),
    re.MULTILINE,
)
GIVEN = {  # what no protocol can say
    "classify": ["--clip", "c"],
    "retrieval": ["--clip", "c"],
    "clip-score": ["--model", "m"],
    "composition": ["--model", "m"],
    "distribution": ["--model", "m"],
    "prompt-following": ["--model", "m", "--judge", "j"],
}


@pytest.fixture
def measured(tmp_path):
    """Runs a command with a protocol; gives its JSON."""

    def result(command: str, protocol: str, *flags: str | Path) -> dict:
        out = tmp_path / "out.json"
        arguments = [command, "--config", f"protocols/{protocol}", *flags, "--json", out]
        cli.run(list(map(str, arguments)))
        return json.loads(out.read_text())

    return result


def test_each_is_in_the_table_of_the_docs():
    assert sorted(name for name, _ in TABLE) == PROTOCOLS
    assert len(PROTOCOLS) >= 10


@pytest.mark.parametrize(("protocol", "command"), TABLE)
def test_its_command_takes_it(protocol, command):
    settings = settings_of([command, "--config", protocol, *GIVEN[command]])
    assert "source" in settings.data.model_fields_set or settings.data.kind != "auto"


@pytest.mark.parametrize(("protocol", "command"), TABLE)
def test_it_says_what_it_is_and_misses_no_picture(protocol, command):
    lines = recipes()[protocol].read_text("utf-8").splitlines()
    assert sum(line.startswith("#") for line in lines) >= 2
    data = settings_of([command, "--config", protocol, *GIVEN[command]]).data
    if data.kind in ("coco", "karpathy"):
        assert data.max_bad_fraction == 0


@pytest.mark.parametrize("name", ["coco", "flickr30k"])
def test_retrieval_with_five_captions(measured, tiny_clip, tmp_path, name):
    write = {"coco": write_karpathy_coco, "flickr30k": write_karpathy_flickr}[name]
    data = write(tmp_path / "data")
    found = measured("retrieval", f"{name}_retrieval", "--clip", tiny_clip, "--data", data)
    assert (found["data"]["split"], found["searched"], found["captions"]) == ("test", 3, 15)
    rates = found["results"]
    assert rates["image_to_text"]["R@1"]["chance"] == pytest.approx(5 / 15)
    assert rates["text_to_image"]["R@1"]["chance"] == pytest.approx(1 / 3)
    assert rates["text_to_image"]["R@5"]["mean"] == 1  # of 3 pictures


def test_both_of_karpathys_files_in_one_folder(measured, tiny_clip, tmp_path):
    """caption_datasets.zip holds them together."""
    data = write_karpathy_flickr(write_karpathy_coco(tmp_path / "data"))
    flags = ["--clip", tiny_clip, "--data", data]
    folders = set()
    for name in ("coco", "flickr30k"):
        found = measured("retrieval", f"{name}_retrieval", *flags)
        folders.add(found["data"]["fingerprint"])
    assert len(folders) == 2


@pytest.mark.slow
def test_fid_of_coco(measured, tiny_run, tiny_clip, tmp_path):
    """Of another extractor, as Inception's weights are not here."""
    data = write_coco(tmp_path / "coco")
    flags = ["--model", tiny_run, "--data", data, "--features", tiny_clip, "--num-steps", "2"]
    found = measured("distribution", "coco30k_fid", *flags)
    assert (found["drawn"]["pictures"], found["drawn"]["real"], found["per_prompt"]) == (6, 6, 1)
    assert (found["model"]["image_size"], found["compare_size"]) == (16, 256)
    of_real = {"split": "val", "images": 6, "image_size": 256, "resize": "crop"}
    assert of_real.items() <= found["data"].items()
    assert found["data"]["resample"] == "bicubic"
    assert found["training"] is None and "copying" not in found
    assert not any("pixels" in each for each in found["warnings"])


@pytest.mark.slow
def test_clip_score_of_coco(measured, tiny_run, tiny_clip, tmp_path):
    data = write_coco(tmp_path / "coco")
    flags = ["--model", tiny_run, "--data", data, "--judge", tiny_clip, "--num-steps", "2"]
    found = measured("clip-score", "coco30k_clip_score", *flags)
    counts = {kind: each["pictures"] for kind, each in found["results"].items()}
    assert counts == {"drawn": 6, "real": 6}
    assert (found["weight"], found["data"]["split"]) == (100, "val")


def test_both_numbers_of_coco_are_of_the_same_prompts(tiny_run, tmp_path):
    """Whatever the size of the pictures: first captions, drawn by the same seed."""
    from textdiff import TextToImage
    from textdiff.data import open_data
    from textdiff.data.of_run import data_of_run
    from textdiff.evaluation.pictures import choose_prompts

    data, pipe, chosen = write_coco(tmp_path / "coco"), TextToImage.load(tiny_run), []
    for command, name in (("distribution", "coco30k_fid"), ("clip-score", "coco30k_clip_score")):
        flags = ["--config", f"protocols/{name}", "--model", "m", "--data", str(data)]
        settings = settings_of([command, *flags])
        images = open_data(data_of_run(settings.data, "--model", str(tiny_run)), settings.split)
        assert settings.num_prompts == 30_000
        chosen.append(choose_prompts(images, 4, settings.prompt_seed, pipe))
    assert chosen[0] == chosen[1]
    assert set(chosen[0]) < {captions_of(number)[0] for number in range(6)}


def test_the_scenes_are_measured_as_the_quickstart_does():
    pairs = {
        "composition": ("scenes_composition", ["quickstart_data", "quickstart_sampling"]),
        "retrieval": ("scenes_retrieval", ["quickstart_data"]),
    }
    for command, (protocol, recipe) in pairs.items():
        files = [flag for name in recipe for flag in ("--config", name)]
        own = settings_of([command, "--config", f"protocols/{protocol}", *GIVEN[command]])
        assert own.model_dump() == settings_of([command, *files, *GIVEN[command]]).model_dump()


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("coco_retrieval", "has no dataset_coco.json; kind karpathy reads dataset_coco.json with"),
        ("flickr30k_retrieval", "has no dataset_flickr30k.json; kind karpathy reads"),
    ],
)
def test_a_folder_in_another_layout(tiny_clip, tmp_path, capsys, name, layout):
    flags = ["--config", f"protocols/{name}", "--clip", str(tiny_clip), "--data", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrieval", *flags])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 3
    assert line.startswith(f"textdiff: error: {tmp_path} {layout}")


def test_a_picture_that_is_missing_stops_it(tiny_clip, tmp_path, capsys):
    data = write_karpathy_coco(tmp_path)
    (missing, *_) = sorted((data / "val2014").iterdir())
    missing.unlink()
    flags = ["--config", "protocols/coco_retrieval", "--clip", str(tiny_clip), "--data", str(data)]
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrieval", *flags])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 3
    assert f"1 of 5 rows and files cannot be used, more than max_bad_fraction = 0.0: {data}" in line
    assert f"val2014/{missing.name}: no such picture" in line
