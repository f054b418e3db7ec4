"""`textdiff unclip`: a whole comparison, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import UsageError
from textdiff.evaluation.held_out import measure as held_out
from textdiff.pipeline.prior import Prior
from textdiff.pipeline.prior.space import space_of

ROUTES = [
    "text-conditional model",
    "text embedding",
    "diffusion prior",
    "picture's own embedding",
]


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "FRECHET_RESAMPLES", 5)
        patch.setattr(held_out, "RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def flags(tiny_decoder, other_clip) -> list[str]:
    """The least that a comparison takes, in two steps."""
    few = ["--split", "train", "--num-prompts", "4", "--num-images", "2", "--num-steps", "2"]
    return ["unclip", "--decoder", str(tiny_decoder), "--judges", str(other_clip), *few]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, flags, tiny_run, tiny_prior) -> Path:
    folder = tmp_path_factory.mktemp("unclip") / "new"
    more = ["--model", str(tiny_run), "--priors", str(tiny_prior), "--prior-steps", "2"]
    more += ["--grid", str(folder / "grid.png"), "--grid-pictures", "3"]
    run([*flags, *more, "--json", str(folder / "unclip.json")])
    return folder


def test_numbers_protocol_and_grid(folder, tiny_decoder, tiny_run, tiny_prior, tiny_clip):
    found = json.loads((folder / "unclip.json").read_text())
    assert list(found["routes"]) == list(found["per_item"]) == ROUTES
    weights = ClipModel.load(tiny_clip).weights_hash()
    assert (found["decoder"]["name"], found["decoder"]["clip"]) == (str(tiny_decoder), weights)
    assert found["model"]["name"] == str(tiny_run)
    prior = found["priors"]["diffusion prior"]
    assert (prior["name"], prior["kind"], prior["clip"]) == (str(tiny_prior), "diffusion", weights)
    assert (found["prompts"]["count"], found["prompts"]["pictures_of_each"]) == (4, 2)
    assert (found["data"]["split"], found["reference"]["pictures"]) == ("train", 4)
    assert (found["sampling"]["prior_steps"], found["reader"]) == (2, None)
    assert all(route["aspects"] == {} for route in found["routes"].values())  # no facts
    assert set(found["best"]) == {"R@1", "KID"}
    with Image.open(folder / "grid.png") as sheet:
        assert sheet.width > 3 * 16


def test_two_files_compare_in_pairs(folder, flags, tmp_path, capsys):
    other = tmp_path / "other.json"
    run([*flags, "--guidance-scale", "1", "--json", str(other)])
    capsys.readouterr()
    run(["compare", str(folder / "unclip.json"), str(other), "--json", str(tmp_path / "c.json")])
    rows = {row["name"]: row for row in json.loads((tmp_path / "c.json").read_text())["rows"]}
    assert {"text embedding: R@1", "text embedding: held out KID"} <= rows.keys()
    assert rows["text embedding: held out KID"]["items"] == 4
    assert not any(name.startswith("diffusion prior") for name in rows)  # in one file alone


def test_judges_that_took_part_are_refused(flags, tiny_clip):
    with pytest.raises(UsageError, match=r"--judges .* is the CLIP that .* was trained with"):
        run([*flags, "--judges", str(tiny_clip)])


def test_a_prior_of_another_clip_is_refused(flags, tiny_prior, other_clip, tmp_path):
    prior = Prior.load(tiny_prior, "cpu")
    prior.clip = ClipModel.load(other_clip)
    prior.config = prior.config.model_copy(update={"space": space_of(prior.clip)})
    prior.save(tmp_path / "prior")
    with pytest.raises(UsageError, match=r"prior .* has embeddings of the CLIP .*, the decoder"):
        run([*flags, "--priors", str(tmp_path / "prior")])


def test_a_split_of_one_caption_is_refused(flags, shapes, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "metadata.jsonl").write_text(
        "".join(f'{{"file_name": "{k}.png", "text": "red circle"}}\n' for k in range(4))
    )
    for k in range(4):
        (alone / f"{k}.png").write_bytes((shapes / "red-circle.png").read_bytes())
    with pytest.raises(UsageError, match="has 1 caption that can be a prompt"):
        run([*flags, "--data", str(alone), "--data.image-size", "16", "--data.min-side", "4"])
