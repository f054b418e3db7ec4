"""`textdiff guidance`: a sweep against metrics computed by hand, one that is cut off, tables."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel, NoisedClip
from textdiff.clip.features import text_features
from textdiff.commands.cli import main, run
from textdiff.data import DataConfig, open_data, to_pil
from textdiff.data.grid import GAP
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.figures import COLOURS
from textdiff.evaluation.guidance import run as guidance_run
from textdiff.evaluation.guidance.differences import SAME_COST, UNGUIDED, WITHOUT_CLIP
from textdiff.evaluation.held_out.measure import unit_features
from textdiff.evaluation.pictures import real_pictures
from textdiff.metrics import clip_scores, estimate_mean, frechet_distance, kid, prompt_following
from textdiff.pictures import to_float

PROMPTS = 5
INTERVAL = {"mean", "low", "high", "confidence", "resamples"}


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textdiff.evaluation.held_out.measure.FRECHET_RESAMPLES", 5)
        patch.setattr("textdiff.evaluation.held_out.measure.RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def evaluators(tmp_path_factory, configs, shapes) -> list[Path]:
    """A ViT and a ResNet that tell some shapes from others."""
    folder = tmp_path_factory.mktemp("evaluators")
    usual = ["--config", configs / "clip.yaml", "--data.source", shapes, "--split", "all"]
    usual += ["--train.steps", "60", "--train.lr", "3e-3", "--clip.embed-dim", "24"]
    resnet = ["--clip.image.kind", "resnet", "--clip.image.image-size", "32"]
    towers = {
        "vit": ["--clip.image.patch-size", "4"],
        "resnet": [*resnet, "--clip.image.width", "4", "--clip.image.heads", "4"],
    }
    for seed, (name, tower) in enumerate(towers.items(), 7):
        run_dir = ["--seed", seed, "--run-dir", folder / name]
        run(["train-clip", *map(str, [*usual, *tower, *run_dir])])
    return [folder / name for name in towers]


@pytest.fixture(scope="module")
def flags(shapes, tiny_run, evaluators) -> list[str]:
    """A sweep in two steps each, less its scales."""
    data = ["--data.source", shapes, "--data.image-size", "16", "--data.min-side", "4"]
    judged = ["--model", tiny_run, "--evaluators", *evaluators]
    few = ["--num-prompts", PROMPTS, "--num-steps", "2", "--batch-size", "4"]
    return list(map(str, [*judged, *data, *few]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, flags) -> Path:
    """What a sweep of four settings leaves: sweep.json, sweep.png, grid.png, printed.txt."""
    folder = tmp_path_factory.mktemp("sweep") / "new"
    more = ["--scales", "1", "3", "--clip-scales", "0", "2", "--images-per-prompt", "2"]
    more += ["--grid", str(folder / "grid.png"), "--grid-pictures", "3", "--seed", "4"]
    more += ["--plot", str(folder / "sweep.png"), "--json", str(folder / "sweep.json")]
    run(["guidance", *flags, *more])
    return folder


@pytest.fixture(scope="module")
def found(folder) -> dict:
    return json.loads((folder / "sweep.json").read_text())


@pytest.fixture(scope="module")
def loaded(tiny_run) -> TextToImage:
    return TextToImage.load(tiny_run)


def open_shapes(shapes: Path):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def by_name(found: dict) -> dict[str, dict]:
    return {one["name"]: one for one in found["settings"]}


# A whole sweep


def test_settings_and_kinds(found):
    named = {name: one["kind"] for name, one in by_name(found).items()}
    assert named == {
        "unguided": "none",
        "CFG 3": "CFG",
        "CLIP 2": "CLIP",
        "CFG 3 CLIP 2": "CFG + CLIP",
    }


def test_protocol(found, shapes, tiny_clip, evaluators):
    assert [each["name"] for each in found["evaluators"]] == list(map(str, evaluators))
    weights = ClipModel.load(tiny_clip).weights_hash()
    assert found["guide"]["weights"] == found["model"]["clip"] == weights
    assert found["guide"]["judges"] == {"reads": "pictures without noise", "weights": weights}
    assert found["guide"]["form"] == "clean CLIP at x_0"
    assert (found["sampling"]["num_steps"], found["sampling"]["seed"]) == (2, 4)
    assert "guidance_scale" not in found["sampling"]
    assert found["clip_sampling"]["clip_through_unet"] is True
    assert found["data"]["fingerprint"] == open_shapes(shapes).fingerprint
    assert (found["prompts"]["count"], found["prompts"]["pictures_of_each"]) == (PROMPTS, 2)
    assert found["reference"] == {
        "split": "train",
        "pictures": 8 - PROMPTS,
        "left_out": "pictures of the prompts",
    }
    assert found["chance"] == {"R@1": 1 / PROMPTS, "R@5": 1.0}
    assert found["device"] == "cpu"
    assert found["versions"]["torch"] == version("torch")


def test_every_number_has_an_interval(found):
    for numbers in (*found["settings"], found["real"]):
        groups = [numbers["held_out"], numbers["guide"], *numbers["evaluators"].values()]
        groups += [numbers["guide - held_out"], *numbers.get("differences", {}).values()]
        for value in (value for each in groups for value in each.values()):
            assert value.keys() == INTERVAL
            assert value["low"] <= value["high"]
    assert all(one["seconds_per_picture"] > 0 for one in found["settings"])


@pytest.mark.parametrize(
    ("name", "guided"),
    [
        ("unguided", {"guidance_scale": 1.0}),
        ("CFG 3 CLIP 2", {"guidance_scale": 3.0, "clip_guidance_scale": 2.0}),
        ("real", None),
    ],
)
def test_numbers_are_those_of_the_metrics(found, shapes, loaded, evaluators, name, guided):
    pipe = loaded
    numbers = found["real"] if guided is None else by_name(found)[name]
    data = open_shapes(shapes)
    real = real_pictures(data, PROMPTS, 0, pipe)
    others = [i for i in range(len(data)) if data.captions[i][0] not in real.prompts]
    if guided is None:
        images, target = real.images, torch.arange(PROMPTS)
    else:
        pictures = pipe(real.prompts, num_images=2, num_steps=2, seed=4, batch_size=4, **guided)
        images = torch.stack([pil_to_tensor(picture) for picture in pictures])
        target = torch.arange(PROMPTS).repeat_interleave(2)
    rates, kids = [], []
    for folder in evaluators:
        clip = ClipModel.load(folder)
        features, texts = unit_features(clip, images), text_features(clip, real.prompts)
        reference = unit_features(clip, data.images(others))
        by_clip = numbers["evaluators"][str(folder)]
        rates.append(prompt_following(features, texts, target).recall(1))
        kids.append(kid(features * 24**0.5, reference * 24**0.5, 1 if guided is None else 2))
        score = clip_scores(features, texts[target]).mean().item()
        assert by_clip["R@1"]["mean"] == pytest.approx(rates[-1])
        assert by_clip["CLIP score"]["mean"] == pytest.approx(score, rel=1e-3, abs=1e-3)
        assert by_clip["KID"]["mean"] == pytest.approx(kids[-1], rel=1e-3, abs=1e-5)
        expected = frechet_distance(features, reference)
        assert by_clip["Frechet"]["mean"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert numbers["held_out"]["R@1"]["mean"] == pytest.approx(np.mean(rates))
    assert numbers["held_out"]["KID"]["mean"] == pytest.approx(np.mean(kids), rel=1e-3, abs=1e-5)
    own = prompt_following(
        unit_features(pipe.clip, images), text_features(pipe.clip, real.prompts), target
    )
    assert numbers["guide"]["R@1"]["mean"] == pytest.approx(own.recall(1))
    gap = own.recall(1) - np.mean(rates)
    assert numbers["guide - held_out"]["R@1"]["mean"] == pytest.approx(gap)


def test_evaluators_tell_real_pictures_apart(found):
    """Else the test above would say little."""
    rates = [each["R@1"]["mean"] for each in found["real"]["evaluators"].values()]
    assert min(rates) > 1 / PROMPTS


def test_differences_are_paired(found):
    """By hand from what is stored, in resamples of prompts and of pictures."""
    named = by_name(found)
    assert named["unguided"]["differences"] == {}
    assert list(named["CFG 3"]["differences"]) == [UNGUIDED]
    both, clip = named["CFG 3 CLIP 2"], named["CLIP 2"]
    assert clip["differences"][UNGUIDED] == clip["differences"][WITHOUT_CLIP]
    for name, other in ((UNGUIDED, "unguided"), (WITHOUT_CLIP, "CFG 3")):
        difference, base = both["differences"][name], named[other]
        for key in ("R@1", "KID"):
            expected = both["held_out"][key]["mean"] - base["held_out"][key]["mean"]
            assert difference[key]["mean"] == pytest.approx(expected, abs=1e-4)
        rates, kids = (
            np.subtract(*(np.array(one["samples"][key], dtype=float) for one in (both, base)))
            for key in ("R@1", "KID")
        )
        assert len(rates) == PROMPTS
        expected = estimate_mean(torch.tensor(rates))
        assert (difference["R@1"]["low"], difference["R@1"]["high"]) == (
            expected.low,
            expected.high,
        )
        expected = np.nanquantile(kids, [0.025, 0.975])
        ends = (difference["KID"]["low"], difference["KID"]["high"])
        assert ends == pytest.approx(tuple(expected))


def test_plot_has_a_colour_for_each_kind(folder):
    with Image.open(folder / "sweep.png") as plot:
        assert plot.size == (1380, 672)
        colours = {colour for _, colour in plot.convert("RGB").getcolors(maxcolors=1 << 16)}
    drawn = [tuple(bytes.fromhex(colour.removeprefix("#"))) in colours for colour in COLOURS]
    assert drawn == [True] * 4 + [False] * 3


def test_grid_has_rows_of_real_pictures_and_of_each_kind(folder, shapes, loaded):
    """Two pictures of the first prompt and one of the second in each."""
    real = real_pictures(open_shapes(shapes), PROMPTS, 0, loaded)
    usual = {"num_images": 2, "num_steps": 2, "seed": 4, "batch_size": 4}
    rows = [[*to_pil(real.images[[0, 0, 1]])]]
    for guidance_scale, clip_scale in ((1.0, 0.0), (3.0, 0.0), (1.0, 2.0), (3.0, 2.0)):
        scales = {"guidance_scale": guidance_scale, "clip_guidance_scale": clip_scale}
        rows.append(loaded(real.prompts[:2], **usual, **scales)[:3])
    with Image.open(folder / "grid.png") as sheet:
        pixels = np.array(sheet.convert("RGB")).astype(int)
    side, height = 96, len(pixels) // 5
    for k, row in enumerate(rows):
        for column, picture in enumerate(row):
            large = np.array(picture.resize((side, side), Image.Resampling.NEAREST)).astype(int)
            left = GAP + column * (side + GAP)
            tops = range(k * height, (k + 1) * height - side)
            cells = (pixels[top : top + side, left : left + side] for top in tops)
            # rounding differs by the number of pictures in a batch
            assert min(np.abs(cell - large).max() for cell in cells) <= 2


def test_a_file_of_another_protocol_is_left_alone(folder, flags):
    before = (folder / "sweep.json").read_text()
    with pytest.raises(UsageError, match=r"another protocol: sampling\.seed is 4, not 1; name"):
        more = ["--images-per-prompt", "2", "--seed", "1", "--json", str(folder / "sweep.json")]
        run(["guidance", *flags, *more])
    assert (folder / "sweep.json").read_text() == before


# A sweep that is cut off, guided by a noised CLIP


def test_a_sweep_goes_on_where_it_was_cut_off(
    flags, noised_with_clean, loaded, shapes, tmp_path, monkeypatch, capsys, folder
):
    drawn, draw = [], guidance_run.draw_timed

    def cut_off(pipe, plan, title):
        if plan.config.clip_guidance.scale:
            raise KeyboardInterrupt
        return draw(pipe, plan, title)

    def watched(pipe, plan, title):
        drawn.append((plan.config.guidance_scale, plan.config.clip_guidance.scale))
        return draw(pipe, plan, title)

    out, scales = tmp_path / "noised.json", ["--scales", "1", "3", "--clip-scales", "0", "2"]
    guide = ["--clip-guide", str(noised_with_clean)]
    command = ["guidance", *flags, *scales, *guide, "--json", str(out)]
    monkeypatch.setattr(guidance_run, "draw_timed", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(command)
    first = json.loads(out.read_text())
    assert list(by_name(first)) == ["unguided", "CFG 3"]
    monkeypatch.setattr(guidance_run, "draw_timed", watched)
    run(command)
    assert drawn == [(1.0, 2.0), (3.0, 2.0)]
    found = json.loads(out.read_text())
    assert found["settings"][:2] == first["settings"]
    assert list(by_name(found)) == ["unguided", "CFG 3", "CLIP 2", "CFG 3 CLIP 2"]
    assert list(by_name(found)["CFG 3 CLIP 2"]["differences"]) == [UNGUIDED, WITHOUT_CLIP]
    printed = capsys.readouterr().out
    for row in (
        "unguided",
        "CFG 3 CLIP 2",
        "real pictures",
        "chance",
        "minus same CFG without CLIP",
    ):
        assert row in " ".join(printed.split())

    guide = NoisedClip.load(noised_with_clean).freeze()
    assert found["guide"]["form"] == "noised CLIP at x_t"
    assert found["guide"]["weights"] == guide.weights_hash()
    reading = {"reads": "pictures of timestep 20", "weights": guide.at(20).weights_hash()}
    assert found["guide"]["judges"] == reading
    real = real_pictures(open_shapes(shapes), PROMPTS, 0, loaded)
    features = guide.encode_image(to_float(real.images), torch.full((PROMPTS,), 20))
    expected = clip_scores(features, text_features(guide.clip, real.prompts)).mean().item()
    assert found["real"]["guide"]["CLIP score"]["mean"] == pytest.approx(expected, abs=1e-3)


# Candidates that CLIPs choose among


def test_a_sweep_of_choices(flags, noised_with_clean, tiny_clip, loaded, shapes, tmp_path):
    out, kept = tmp_path / "chosen.json", noised_with_clean
    chosen = ["--best-of", "2", "--early-judges", str(kept), "--keep-after", "0.5"]
    chosen += ["--final-judges", str(tiny_clip)]
    scales = ["--scales", "3", "--clip-scales", "0"]
    run(["guidance", *flags, *scales, *chosen, "--json", str(out)])
    named = by_name(json.loads(out.read_text()))
    spent = {name: each["evaluations"] for name, each in named.items()}
    final, early = (name for name in named if "best of" in name)
    assert final.endswith(f"best of 2 by final clean CLIP ({tiny_clip})")
    assert early.endswith(f"best of 2 by noised CLIP, early ({kept} at 0.5)")
    # two steps, CFG twice: both candidates all the way; one of them in the second step
    assert spent == {
        "CFG 3": {"network": 4, "guide": 0, "judge": 0},
        "CFG 3, 4 steps": {"network": 8, "guide": 0, "judge": 0},
        final: {"network": 8, "guide": 0, "judge": 2},
        "CFG 3, 3 steps": {"network": 6, "guide": 0, "judge": 0},
        early: {"network": 6, "guide": 0, "judge": 2},
    }
    for name, rival in ((final, "CFG 3, 4 steps"), (early, "CFG 3, 3 steps")):
        difference = named[name]["differences"][SAME_COST]["R@1"]["mean"]
        rates = [named[each]["held_out"]["R@1"]["mean"] for each in (name, rival)]
        assert difference == pytest.approx(rates[0] - rates[1], abs=1e-4)

    prompts = real_pictures(open_shapes(shapes), PROMPTS, 0, loaded).prompts
    usual = {"num_steps": 2, "batch_size": 4, "guidance_scale": 3.0}
    pictures = loaded(prompts, **usual, best_of=2, judge=str(kept), keep_after=[0.5])
    images = torch.stack([pil_to_tensor(picture) for picture in pictures])
    own = prompt_following(
        unit_features(loaded.clip, images),
        text_features(loaded.clip, prompts),
        torch.arange(PROMPTS),
    )
    assert named[early]["guide"]["R@1"]["mean"] == pytest.approx(own.recall(1))


# Tables of files


def test_tables_of_files(folder, found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(guidance_run, "measure_sweep", None)  # draws nothing
    found = json.loads(json.dumps(found))
    found["guide"] |= {"form": "noised CLIP at x_t", "weights": "0123456789abcdef"}
    (tmp_path / "noised.json").write_text(json.dumps(found))
    files = [str(folder / "sweep.json"), str(tmp_path / "noised.json")]
    run(["guidance", "--table", *files, "--plot", str(tmp_path / "both.png")])
    printed = " ".join(capsys.readouterr().out.split())
    assert "clean CLIP at x_0" in printed
    assert "noised CLIP at x_t" in printed
    assert "on the Pareto front of R@1 and KID: " in printed
    assert Image.open(tmp_path / "both.png").size == (1380, 672)


def test_a_wrong_model_is_found_before_data(monkeypatch):
    monkeypatch.setattr("textdiff.data.open_data", None)
    with pytest.raises(CheckpointError):
        run(["guidance", "--model", "nowhere", "--evaluators", "a", "b"])


def test_what_is_refused_is_one_line_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SystemExit) as stopped:
        main(["guidance", "--table", str(tmp_path / "x.json")])
    assert stopped.value.code == 2
    refusal = capsys.readouterr().err.strip()
    assert refusal.startswith("textdiff: error: ")
    assert "holds no sweep" in refusal
    assert "\n" not in refusal
