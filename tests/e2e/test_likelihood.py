"""`textdiff likelihood`: its numbers against the bound by hand, its files, its refusals."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from textdiff import TextToImage
from textdiff.binary.config import BinaryConfig
from textdiff.checkpoint import weights_hash
from textdiff.commands import cli
from textdiff.data import DataConfig, open_data
from textdiff.diffusion.likelihood import bound_term, bound_terms, prior_term
from textdiff.errors import EXTRAS
from textdiff.evaluation.likelihood.measure import captions_of
from textdiff.metrics.likelihood import noise_of
from textdiff.models import UNet
from textdiff.pipeline import ModelConfig
from textdiff.sampling.threshold import static_threshold

FAST = ["--num-steps", "4"]
INTERVAL = {"mean", "low", "high", "confidence", "resamples"}


@pytest.fixture
def flags(tiny_run, shapes) -> list[str]:
    """Flags that work; the shapes have 4 test images, the model 100 timesteps."""
    sizes = ["--data.image-size", "16", "--data.min-side", "4"]
    return ["likelihood", "--model", str(tiny_run), "--data.source", str(shapes), *sizes]


@pytest.fixture
def measure(flags, tmp_path):
    """Runs the command with more flags; gives its JSON."""

    def result(*more: str | Path) -> dict:
        out = tmp_path / "new" / "likelihood.json"
        cli.run([*flags, "--json", str(out), *map(str, more)])
        return json.loads(out.read_text())

    return result


@pytest.fixture
def learned_model(pipe, tmp_path) -> Path:
    """A model with a learned variance, of random weights."""
    config = pipe.config.unet.model_copy(update={"learned_variance": True})
    torch.manual_seed(0)
    unet = UNet(config)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    model = pipe.config.model_copy(update={"unet": config})
    TextToImage(unet, pipe.clip, model).save(tmp_path / "learned")
    return tmp_path / "learned"


@pytest.fixture
def binary_model(pipe, tmp_path):
    """Builds a binary model of random weights; gives its folder."""

    def build(predicts: str = "x_0", num_timesteps: int = 20) -> Path:
        unet = pipe.config.unet.model_copy(update={"in_channels": 1})
        model = ModelConfig(
            clip=pipe.config.clip,
            process="binary",
            binary=BinaryConfig(num_timesteps=num_timesteps, predicts=predicts),
            unet=unet,
        )
        torch.manual_seed(0)
        TextToImage(UNet(unet), pipe.clip, model).save(tmp_path / predicts)
        return tmp_path / predicts

    return build


def bound_by_hand(
    pipe: TextToImage, source: Path, names: list[str], seed: int, clip: bool = True
) -> list[float]:
    """bits/dim of each named image of the test split, sigma^2 = beta, all timesteps."""
    data = open_data(DataConfig(source=str(source), image_size=16, min_side=4), "test")
    indices = [data.identifiers.index(name) for name in names]
    x_0 = data.images(indices).float() / 127.5 - 1
    denoise = pipe.denoiser(pipe.clip.conditioning([data.captions[k][0] for k in indices]))
    if clip:
        denoise = static_threshold(denoise, pipe.schedule)
    steps = [torch.full((len(x_0),), t) for t in range(pipe.schedule.num_timesteps)]
    noise = noise_of(seed, names, x_0)
    term = partial(bound_term, pipe.schedule, variance="fixed_large")
    terms = bound_terms(denoise, pipe.schedule, x_0, noise, term, steps)
    total = prior_term(pipe.schedule, x_0) + sum(bits for _, bits in terms)
    return total.tolist()


# Numbers


def test_bound_is_that_of_the_test_images_and_their_captions(measure, pipe, shapes):
    found = measure("--seed", "3", "--batch-size", "3")
    totals = found["per_picture"]["first"]
    assert len(totals) == found["pictures"] == 4
    names = found["per_picture"]["identifiers"]
    assert totals == pytest.approx(bound_by_hand(pipe, shapes, names, 3), rel=1e-5)
    assert found["results"]["first"]["total"]["mean"] == pytest.approx(sum(totals) / 4)


def test_unclipped_bound(measure, pipe, shapes):
    found = measure("--clip-denoised", "false")["per_picture"]
    expected = bound_by_hand(pipe, shapes, found["identifiers"], 0, clip=False)
    assert found["first"] == pytest.approx(expected, rel=1e-5)
    assert found["first"] != pytest.approx(
        bound_by_hand(pipe, shapes, found["identifiers"], 0), rel=1e-3
    )


@pytest.mark.parametrize("more", [[], ["--num-steps", "7"], ["--estimate", "6"], FAST])
def test_parts_add_up_to_the_total(measure, more):
    found = measure(*more)["results"]["first"]
    rest, terms = found["rest"]["mean"], found["terms"]
    assert found["prior"]["mean"] + found["L_0"]["mean"] + rest == pytest.approx(
        found["total"]["mean"]
    )
    assert sum(quarter["mean"] for quarter in found["quarters"]) == pytest.approx(rest)
    sums = [n * bits for n, bits in zip(terms["timesteps"], terms["mean"], strict=True)]
    assert sums[0] == pytest.approx(found["L_0"]["mean"])
    assert sum(sums[1:]) == pytest.approx(rest)
    for part in ("total", "prior", "L_0", "rest"):
        assert found[part].keys() == INTERVAL
        assert found[part]["low"] <= found[part]["mean"] <= found[part]["high"]


def test_every_timestep_is_a_term_of_its_own(measure):
    found = measure()["results"]["first"]
    assert found["terms"]["from"] == found["terms"]["to"] == list(range(100))
    ends = [(quarter["from"], quarter["to"]) for quarter in found["quarters"]]
    assert ends == [(1, 24), (25, 49), (50, 74), (75, 99)]


def test_bound_of_fewer_steps_names_the_timesteps_of_the_network(measure):
    found = measure("--num-steps", "4", "--spacing", "linspace")
    terms = found["results"]["first"]["terms"]
    assert terms["from"] == terms["to"] == [0, 33, 66, 99]
    assert (found["timesteps"], found["num_steps"], found["spacing"]) == (100, 4, "linspace")


def test_estimate_takes_fewer_timesteps(measure):
    found = measure("--estimate", "6")
    terms = found["results"]["first"]["terms"]
    assert found["timesteps_per_picture"] == len(terms["mean"]) == 6
    assert (terms["from"][:2], terms["to"][-1], sum(terms["timesteps"])) == ([0, 1], 99, 100)


def test_estimate_is_near_the_bound_and_new_for_each_seed(measure):
    exact = measure()["results"]["first"]["total"]["mean"]
    one, other = (measure("--estimate", "50", "--seed", seed) for seed in (0, 1))
    one, other = (found["results"]["first"]["total"]["mean"] for found in (one, other))
    assert exact != one != other
    assert one == pytest.approx(exact, rel=0.05)


def test_batch_size_does_not_change_the_numbers(measure):
    alone, together = (measure(*FAST, "--batch-size", size)["per_picture"] for size in ("1", "4"))
    assert alone["first"] == pytest.approx(together["first"], rel=1e-5)


def test_float64_agrees_with_float32(measure):
    single, double = (measure(*FAST, "--dtype", f"float{b}")["per_picture"] for b in (32, 64))
    assert double["first"] == pytest.approx(single["first"], rel=1e-4)
    assert double["first"] != single["first"]


def test_number_and_choice_of_images(measure):
    few = measure(*FAST, "--num-images", "2")["per_picture"]["identifiers"]
    everything = measure(*FAST, "--num-images", "none")["per_picture"]["identifiers"]
    assert few == everything[:2]
    assert len(set(everything)) == 4
    other = measure(*FAST, "--image-seed", "1")["per_picture"]["identifiers"]
    assert other != everything
    assert sorted(other) == sorted(everything)


def test_a_learned_variance_is_used_where_there_is_one(measure, learned_model):
    auto, learned, large = (
        measure(*FAST, "--model", learned_model, "--variance", variance)
        for variance in ("auto", "learned", "fixed_large")
    )
    assert auto["variance"] == "learned"
    assert auto["results"] == learned["results"] != large["results"]


@pytest.mark.parametrize(("num_timesteps", "tolerance"), [(1, 1e-5), (20, 0.1)])
def test_binary_model_that_knows_nothing_takes_one_bit_per_pixel(
    measure, binary_model, num_timesteps, tolerance
):
    """An untrained network says 0: fair coins. One step leaves nothing to chance."""
    found = measure("--model", binary_model(num_timesteps=num_timesteps))
    assert (found["process"], found["variance"]) == ("binary", None)
    assert found["results"]["first"]["total"]["mean"] == pytest.approx(1, abs=tolerance)


def test_protocol(measure, pipe, tiny_run, shapes):
    found = measure(*FAST, "--seed", "3")
    assert found["model"]["name"] == str(tiny_run)
    assert found["model"]["clip"] == pipe.clip.weights_hash()
    assert (found["data"]["source"], found["data"]["split"]) == (str(shapes), "test")
    assert (found["variance"], found["clip_denoised"]) == ("fixed_large", True)
    assert (found["spacing"], found["dtype"], found["seed"]) == ("trailing", "float32", 3)
    assert found["captions_cut"] == 0
    assert "torch" in found["versions"]


def test_weights_hash_is_that_of_the_model_at_any_precision(measure, pipe):
    for dtype in ("float32", "float64"):
        assert measure(*FAST, "--dtype", dtype)["model"]["weights"] == weights_hash(pipe.unet)


# Captions


@given(st.lists(st.text(), min_size=2, max_size=20, unique=True), st.integers(0, 99))
def test_shuffled_captions_are_those_of_other_images(captions, seed):
    found = captions_of("shuffled", captions, seed)
    assert sorted(found) == sorted(captions)
    assert all(one != other for one, other in zip(found, captions, strict=True))


def test_kinds_of_captions_are_compared_image_by_image(measure):
    found = measure(*FAST, "--captions", "first", "none", "shuffled")
    assert list(found["results"]) == ["first", "none", "shuffled"]
    per_picture = found["per_picture"]
    for kind in ("none", "shuffled"):
        pairs = zip(per_picture[kind], per_picture["first"], strict=True)
        differences = [other - first for other, first in pairs]
        found_difference = found["differences"][f"{kind} - first"]
        assert found_difference["mean"] == pytest.approx(sum(differences) / 4)
        assert min(differences) <= found_difference["low"] <= found_difference["high"]
        assert any(differences)


# Files


def test_plot(measure, tmp_path):
    out = tmp_path / "plots" / "bits.png"
    measure(*FAST, "--captions", "first", "none", "--plot", out)
    with Image.open(out) as plot:
        assert plot.format == "PNG"
        assert plot.width > plot.height > 300


def test_table(measure, capsys):
    measure("--estimate", "5")
    shown = capsys.readouterr().out
    for row in ("prior L_T", "t = 75..99", "t = 1..24", "sum over t >= 1", "L_0", "total"):
        assert row in shown
    assert "split test; variance fixed_large; 5 of 100 timesteps" in shown


# Splits and bad input


def only(shapes: Path, folder: Path, split: str) -> Path:
    """A copy of the shapes, all of them in one split."""
    shutil.copytree(shapes, folder)
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows = [json.dumps({**row, "split": split}) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    return folder


HELD_OUT = ["--data.val-fraction", "0", "--data.test-fraction", "0"]


def test_val_is_measured_where_there_is_no_test(measure, shapes, tmp_path):
    data = only(shapes, tmp_path / "data", "val")
    found = measure(*FAST, *HELD_OUT, "--num-images", "2", "--data.source", data)
    assert found["data"]["split"] == "val"


def test_nothing_held_out(flags, shapes, tmp_path, capsys):
    data = only(shapes, tmp_path / "data", "train")
    code, message = refused([*flags, *HELD_OUT, "--data.source", str(data)], capsys)
    assert code == 3
    assert "its val split is empty" in message


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        (["--variance", "learned"], "the model has no learned variance; use fixed_small"),
        (["--num-steps", "101"], "--num-steps: num_steps must lie in 1..100, got 101"),
        (["--estimate", "101"], "--estimate: the number of strata must lie in 2..100, got 101"),
        ([*FAST, "--estimate", "5"], "--estimate: the number of strata must lie in 2..4, got 5"),
        (["--num-images", "1", "--captions", "shuffled"], "shuffled needs two images or more"),
        (["--data.image-size", "8"], "the model draws 16x16 pictures"),
        (["--json", "."], "--json . is a folder"),
    ],
)
def test_refusals(flags, more, cause, capsys):
    code, message = refused([*flags, *more], capsys)
    assert code == 2
    assert cause in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("predicts", "more", "cause"),
    [
        ("x_0", ["--variance", "fixed_large"], "a binary model draws coins"),
        ("posterior", FAST, "--num-steps: the network predicts the posterior"),
    ],
)
def test_refusals_of_binary_models(flags, binary_model, predicts, more, cause, capsys):
    code, message = refused([*flags, "--model", str(binary_model(predicts)), *more], capsys)
    assert code == 2
    assert cause in message


def test_plot_without_matplotlib(flags, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(EXTRAS, "plot", {"no_such": "no-such"})
    code, message = refused([*flags, "--plot", str(tmp_path / "a.png")], capsys)
    assert code == 2
    assert "pip install no-such" in message


def refused(arguments: list[str], capsys) -> tuple[int, str]:
    """Exit code and what stands on stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code, capsys.readouterr().err
