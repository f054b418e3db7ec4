"""`textdiff guidance`: numbers against the metrics computed by hand, files, and what it refuses."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from textdiff.clip import ClipModel, NoisedClip
from textdiff.commands.cli import main, run
from textdiff.data import DataConfig, open_data
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.drawn import real_pictures
from textdiff.evaluation.figures import figure
from textdiff.evaluation.guidance import draw as guidance_draw
from textdiff.evaluation.guidance.measure import resampled_distances, unit_features
from textdiff.evaluation.guidance.merge import read_tables
from textdiff.evaluation.guidance.pairs import UNGUIDED, WITHOUT_CLIP, as_samples, interval_of
from textdiff.evaluation.guidance.plot import style_of_kinds
from textdiff.evaluation.guidance.store import as_text
from textdiff.evaluation.guidance.table import pareto
from textdiff.evaluation.labels import APART, place_labels
from textdiff.metrics import clip_scores, frechet_distance, kid, prompt_following
from textdiff.metrics.bootstrap import bootstrap_interval, mean_over_images
from textdiff.metrics.features import text_features

PROMPTS = 5
INTERVAL = {"mean", "low", "high", "confidence", "resamples"}


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textdiff.evaluation.guidance.measure.FRECHET_RESAMPLES", 5)
        patch.setattr("textdiff.evaluation.guidance.measure.RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def noised(tmp_path_factory, noised_flags) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "noised"
    run(["finetune-clip", *noised_flags, "--train.steps", "2", "--run-dir", str(folder)])
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory, noised_flags) -> Path:
    """A noised CLIP with a frozen copy of the clean tower, from which its own has moved away."""
    folder = tmp_path_factory.mktemp("runs") / "kept"
    few = ["--train.steps", "4", "--noise.clean-below", "20", "--train.lr", "1e-2"]
    run(["finetune-clip", *noised_flags, *few, "--run-dir", str(folder)])
    return folder


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


@pytest.fixture
def flags(shapes, tiny_run, evaluators) -> list[str]:
    """A sweep of four settings in two steps each."""
    data = ["--data.source", shapes, "--data.image-size", "16", "--data.min-side", "4"]
    swept = ["--scales", "1", "3", "--clip-scales", "0", "2"]
    judged = ["--model", tiny_run, "--evaluators", *evaluators]
    few = ["--num-prompts", PROMPTS, "--num-steps", "2", "--batch-size", "4"]
    return list(map(str, [*judged, *data, *swept, *few]))


@pytest.fixture
def sweep(flags, tmp_path):
    """Runs it; gives its JSON."""

    def found(*more: str | Path) -> dict:
        out = tmp_path / "new" / "sweep.json"
        run(["guidance", *flags, "--json", str(out), *map(str, more)])
        return json.loads(out.read_text())

    return found


def without(flags: list[str], name: str, values: int) -> list[str]:
    """Lists given twice grow; so `flags` less `name` and its values, to give others."""
    at = flags.index(name)
    return flags[:at] + flags[at + 1 + values :]


@pytest.fixture
def draws(monkeypatch) -> list[tuple[float, float]]:
    """Scales of what is drawn."""
    drawn, draw = [], guidance_draw.Sweep.draw

    def watched(self, config, first=None):
        drawn.append((config.guidance_scale, config.clip_guidance_scale))
        return draw(self, config, first)

    monkeypatch.setattr(guidance_draw.Sweep, "draw", watched)
    return drawn


def open_shapes(shapes: Path):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def swept(sweep, path: Path, *more: str | Path) -> None:
    """A sweep's file at `path`."""
    sweep(*more)
    (path.parent / "new" / "sweep.json").rename(path)


def by_name(found: dict) -> dict[str, dict]:
    return {one["name"]: one for one in found["settings"]}


# What it says


def test_settings_and_kinds(sweep):
    named = {name: one["kind"] for name, one in by_name(sweep()).items()}
    assert named == {
        "unguided": "none",
        "CFG 3": "CFG",
        "CLIP 2": "CLIP",
        "CFG 3 CLIP 2": "CFG + CLIP",
    }


def test_protocol(sweep, shapes, tiny_run, tiny_clip, evaluators):
    found = sweep("--seed", "4")
    assert [each["name"] for each in found["evaluators"]] == list(map(str, evaluators))
    weights = ClipModel.load(tiny_clip).weights_hash()
    assert found["guide"]["weights"] == found["model"]["clip"] == weights
    assert found["guide"]["judges"] == {"reads": "pictures without noise", "weights": weights}
    assert found["guide"]["form"] == "clean CLIP at x_0"
    assert (found["sampling"]["num_steps"], found["sampling"]["seed"]) == (2, 4)
    assert "guidance_scale" not in found["sampling"]
    assert found["clip_sampling"]["clip_through_unet"] is True
    assert found["data"]["fingerprint"] == open_shapes(shapes).fingerprint
    assert found["prompts"]["count"] == PROMPTS
    assert found["reference"] == {
        "split": "train",
        "pictures": 8 - PROMPTS,
        "left_out": "pictures of the prompts",
    }
    assert found["chance"] == {"R@1": 1 / PROMPTS, "R@5": 1.0}
    assert found["device"] == "cpu"
    assert found["versions"]["torch"] == version("torch")


def test_every_number_has_an_interval(sweep):
    found = sweep()
    for numbers in (*found["settings"], found["real"]):
        told = [numbers["held_out"], numbers["guide"], *numbers["evaluators"].values()]
        told += [numbers["guide - held_out"], *numbers.get("differences", {}).values()]
        for value in (value for each in told for value in each.values()):
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
def test_numbers_are_those_of_the_metrics(sweep, shapes, pipe, evaluators, name, guided):
    found = sweep("--images-per-prompt", "2")
    numbers = found["real"] if guided is None else by_name(found)[name]
    data = open_shapes(shapes)
    real = real_pictures(data, PROMPTS, 0, pipe)
    others = [i for i in range(len(data)) if data.captions[i][0] not in real.prompts]
    if guided is None:
        images, target = real.images, torch.arange(PROMPTS)
    else:
        pictures = pipe(real.prompts, num_images=2, num_steps=2, batch_size=4, **guided)
        images = torch.stack([pil_to_tensor(picture) for picture in pictures])
        target = torch.arange(PROMPTS).repeat_interleave(2)
    rates, kids = [], []
    for folder in evaluators:
        clip = ClipModel.load(folder)
        features, texts = unit_features(clip, images), text_features(clip, real.prompts)
        reference = unit_features(clip, data.images(others))
        said = numbers["evaluators"][str(folder)]
        rates.append(prompt_following(features, texts, target).recall(1))
        kids.append(kid(features * 24**0.5, reference * 24**0.5))
        score = clip_scores(features, texts[target]).mean().item()
        assert said["R@1"]["mean"] == pytest.approx(rates[-1])
        assert said["CLIP score"]["mean"] == pytest.approx(score, rel=1e-3, abs=1e-3)
        assert said["KID"]["mean"] == pytest.approx(kids[-1], rel=1e-3, abs=1e-5)
        expected = frechet_distance(features, reference)
        assert said["Frechet"]["mean"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert numbers["held_out"]["R@1"]["mean"] == pytest.approx(np.mean(rates))
    assert numbers["held_out"]["KID"]["mean"] == pytest.approx(np.mean(kids), rel=1e-3, abs=1e-5)
    own = prompt_following(
        unit_features(pipe.clip, images), text_features(pipe.clip, real.prompts), target
    )
    assert numbers["guide"]["R@1"]["mean"] == pytest.approx(own.recall(1))
    gap = own.recall(1) - np.mean(rates)
    assert numbers["guide - held_out"]["R@1"]["mean"] == pytest.approx(gap)


def test_evaluators_tell_real_pictures_apart(sweep):
    """Else the test above would say little."""
    rates = [each["R@1"]["mean"] for each in sweep()["real"]["evaluators"].values()]
    assert min(rates) > 1 / PROMPTS


def test_a_noised_guide_is_judged_as_for_pictures_without_noise(sweep, noised, pipe, shapes):
    found = sweep("--clip-guide", noised)
    assert found["guide"]["form"] == "noised CLIP at x_t"
    clean = ClipModel.load(noised / "clean")
    real = real_pictures(open_shapes(shapes), PROMPTS, 0, pipe)
    texts = text_features(clean, real.prompts)
    expected = clip_scores(unit_features(clean, real.images), texts).mean().item()
    assert found["real"]["guide"]["CLIP score"]["mean"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("at", "timestep"), [("x_t", 20), ("x_0", 0)])
def test_the_tower_that_guides_is_asked(sweep, kept, pipe, shapes, at, timestep):
    found = sweep("--clip-guide", kept, "--clip-guidance-at", at)
    guide = NoisedClip.load(kept).freeze()
    real = real_pictures(open_shapes(shapes), PROMPTS, 0, pipe)
    x_0 = real.images.float() / 127.5 - 1
    features = guide.encode_image(x_0, torch.full((PROMPTS,), timestep))
    expected = clip_scores(features, text_features(guide.clip, real.prompts)).mean().item()
    assert found["real"]["guide"]["CLIP score"]["mean"] == pytest.approx(expected, abs=1e-3)
    assert found["guide"]["weights"] == guide.weights_hash()
    judges = found["guide"]["judges"]
    assert judges["weights"] == guide.at(timestep).weights_hash()
    assert judges["reads"] == ("pictures of timestep 20" if timestep else "pictures without noise")


def test_the_towers_of_a_noised_clip_that_keeps_its_clean_one_differ(kept):
    """Else the test above would say little."""
    guide, x_0 = NoisedClip.load(kept).freeze(), torch.zeros(1, 3, 16, 16)
    first, later = (guide.encode_image(x_0, torch.tensor([t])) for t in (0, 20))
    assert torch.cosine_similarity(first, later).item() < 0.999


def test_u_net_without_text(flags, tmp_path):
    others, out = without(flags, "--scales", 2), tmp_path / "sweep.json"
    run(["guidance", *others, "--text-to-unet", "false", "--scales", "1", "--json", str(out)])
    assert list(by_name(json.loads(out.read_text()))) == ["unguided", "CLIP 2"]


def test_differences_are_paired(sweep):
    """By hand from what is stored, in resamples of prompts and of pictures."""
    found = by_name(sweep("--images-per-prompt", "2"))
    assert found["unguided"]["differences"] == {}
    assert list(found["CFG 3"]["differences"]) == [UNGUIDED]
    both, clip = found["CFG 3 CLIP 2"], found["CLIP 2"]
    assert clip["differences"][UNGUIDED] == clip["differences"][WITHOUT_CLIP]
    for name, other in ((UNGUIDED, "unguided"), (WITHOUT_CLIP, "CFG 3")):
        said, base = both["differences"][name], found[other]
        for key in ("R@1", "KID"):
            expected = both["held_out"][key]["mean"] - base["held_out"][key]["mean"]
            assert said[key]["mean"] == pytest.approx(expected, abs=1e-4)
        rates, kids = (
            np.subtract(*(np.array(one["samples"][key], dtype=float) for one in (both, base)))
            for key in ("R@1", "KID")
        )
        assert len(rates) == PROMPTS
        expected = bootstrap_interval(mean_over_images(torch.tensor(rates)), PROMPTS)
        assert (said["R@1"]["low"], said["R@1"]["high"]) == (expected.low, expected.high)
        expected = np.nanquantile(kids, [0.025, 0.975])
        assert (said["KID"]["low"], said["KID"]["high"]) == pytest.approx(tuple(expected))


def test_a_baseline_that_comes_later(flags, tmp_path):
    out = tmp_path / "later.json"
    others = [*without(flags, "--scales", 2), "--json", str(out)]
    run(["guidance", *others, "--scales", "3"])
    before = by_name(json.loads(out.read_text()))
    assert before["CFG 3"]["differences"] == {}
    run(["guidance", *others, "--scales", "1"])
    after = by_name(json.loads(out.read_text()))
    assert list(after["CFG 3"]["differences"]) == [UNGUIDED]


def test_samples_without_kid_are_null_in_json_and_left_out():
    values = torch.tensor([1.0, float("nan"), 2.0]).double()
    assert as_samples(values) == [1.0, None, 2.0]
    assert interval_of(1.5, values)["resamples"] == 2


@pytest.mark.parametrize("key", ["KID", "Frechet"])
def test_repeated_pictures_do_not_narrow_an_interval(key):
    rng = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(20, 4, generator=rng) + 1, dim=-1)
    y = torch.nn.functional.normalize(torch.randn(200, 4, generator=rng), dim=-1)
    once = resampled_distances(x, y, 1)[key][1].std()
    repeated = resampled_distances(x.repeat_interleave(4, dim=0), y, 4)[key][1].std()
    assert repeated > 0.9 * once


def test_tables_name_the_pareto_front(sweep, capsys):
    sweep()
    printed = capsys.readouterr().out
    assert "on the Pareto front of R@1 and KID: " in printed
    for row in ("unguided", "CFG 3 CLIP 2", "real pictures", "chance"):
        assert row in printed
    assert "minus unguided" in printed
    assert "minus same CFG without CLIP" in printed


def test_lists_take_a_line_each_in_the_file():
    found = {"a [b,  c]": [1.5, None, -2e-7], "d": [{"e": []}]}
    text = as_text(found)
    assert json.loads(text) == found
    assert "[ 1.5, null, -2e-07 ]" in text


# Files


def test_plot_and_grid(sweep, tmp_path):
    sweep("--plot", tmp_path / "sweep.png", "--grid", tmp_path / "g.png", "--grid-pictures", "3")
    assert Image.open(tmp_path / "sweep.png").size == (1380, 672)
    with Image.open(tmp_path / "g.png") as sheet:
        assert 3 * 96 < sheet.width < 4 * 96  # three columns
        assert 5 * 96 < sheet.height < 5 * 192  # real, and four kinds of guidance


def test_a_sweep_goes_on_where_it_stopped(sweep, draws):
    first = sweep()
    draws.clear()
    more = sweep("--clip-scales", "4")
    assert draws == [(1.0, 4.0), (3.0, 4.0)]
    assert more["settings"][:4] == first["settings"]
    assert len(more["settings"]) == 6


def test_what_was_done_is_kept_when_a_sweep_is_cut_off(sweep, monkeypatch, tmp_path):
    draw = guidance_draw.Sweep.draw

    def cut_off(self, config, first=None):
        if config.clip_guidance_scale:
            raise KeyboardInterrupt
        return draw(self, config, first)

    monkeypatch.setattr(guidance_draw.Sweep, "draw", cut_off)
    with pytest.raises(KeyboardInterrupt):
        sweep()
    kept = json.loads((tmp_path / "new" / "sweep.json").read_text())
    assert list(by_name(kept)) == ["unguided", "CFG 3"]


def test_a_file_of_another_protocol_is_left_alone(sweep, tmp_path):
    before = sweep()
    with pytest.raises(UsageError, match=r"another protocol: sampling\.seed is 0, not 1; name"):
        sweep("--seed", "1")
    assert json.loads((tmp_path / "new" / "sweep.json").read_text()) == before


def test_tables_of_files(sweep, tmp_path, noised, draws, capsys):
    sweep()
    (tmp_path / "new" / "sweep.json").rename(tmp_path / "clean.json")
    sweep("--clip-guide", noised)
    (tmp_path / "new" / "sweep.json").rename(tmp_path / "noised.json")
    draws.clear()
    capsys.readouterr()
    files = [str(tmp_path / name) for name in ("clean.json", "noised.json")]
    run(["guidance", "--table", *files, "--plot", str(tmp_path / "both.png")])
    printed = " ".join(capsys.readouterr().out.split())
    assert draws == []
    assert "clean CLIP at x_0" in printed
    assert "noised CLIP at x_t" in printed
    assert Image.open(tmp_path / "both.png").size == (1380, 672)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--clip-normalise", "true"], "clip_normalise True"),
        (["--clip-guidance-every", "2"], "clip_guidance_every 2"),
        (["--clip-guide", "ANOTHER"], "guide ANOTHER"),
    ],
)
def test_settings_of_one_form_are_told_apart(sweep, tmp_path, tiny_clip, more, told):
    other = tmp_path / "another"
    clip = ClipModel.load(tiny_clip)
    clip.model.logit_scale.data.add_(0.5)
    clip.save(other)
    swept(sweep, tmp_path / "one.json")
    swept(sweep, tmp_path / "two.json", *(str(other) if m == "ANOTHER" else m for m in more))
    merged = read_tables([str(tmp_path / name) for name in ("one.json", "two.json")])
    names = list(by_name(merged))
    assert len(names) == len(merged["settings"]) == 6  # two without CLIP, two of each with it
    told = told.replace("ANOTHER", str(other))
    assert [name for name in names if told in name] == [
        f"{name}, clean CLIP at x_0, {told}" for name in ("CLIP 2", "CFG 3 CLIP 2")
    ]


def test_guides_of_one_name_are_told_apart_by_their_weights(sweep, tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    swept(sweep, one)
    found = json.loads(one.read_text())
    found["guide"]["weights"] = "0123456789abcdef"
    two.write_text(json.dumps(found))
    names = by_name(read_tables([str(one), str(two)]))
    assert "CLIP 2, clean CLIP at x_0, weights 0123456789abcdef" in names


def test_files_in_which_clip_guides_alike(sweep, tmp_path, capsys):
    swept(sweep, tmp_path / "one.json")
    swept(sweep, tmp_path / "two.json", "--clip-guidance-at", "x_0")  # what auto comes to
    capsys.readouterr()
    said = refused(["--table", tmp_path / "one.json", tmp_path / "two.json"], capsys)
    assert "two.json CLIP guides as in " in said
    assert "same weights, same clip_ settings" in said


def test_files_without_differences(sweep, tmp_path, capsys):
    """As older versions wrote them."""
    swept(sweep, tmp_path / "one.json")
    found = json.loads((tmp_path / "one.json").read_text())
    for one in found["settings"]:
        del one["differences"], one["samples"]
    (tmp_path / "one.json").write_text(json.dumps(found))
    capsys.readouterr()
    run(["guidance", "--table", str(tmp_path / "one.json")])
    printed = capsys.readouterr().out
    assert "no paired differences: the file is of an older version" in printed
    assert "CFG 3 CLIP 2" in printed


def test_tables_that_do_not_compare(sweep, tmp_path):
    sweep()
    (tmp_path / "new" / "sweep.json").rename(tmp_path / "one.json")
    sweep("--seed", "1")
    with pytest.raises(UsageError, match=r"do not compare: sampling\.seed is 0, not 1"):
        run(["guidance", "--table", *(str(tmp_path / n) for n in ("one.json", "new/sweep.json"))])


# What it refuses


def refused(flags: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["guidance", *map(str, flags)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("textdiff: error: ")
    assert "\n" not in said
    return said


def test_evaluators_that_took_part(flags, noised, tiny_clip, capsys):
    told = refused([*flags, "--evaluators", tiny_clip], capsys)
    assert "is the CLIP that" in told
    told = refused([*flags, "--clip-guide", noised, "--evaluators", noised / "clean"], capsys)
    assert f"is the CLIP that guides, {noised}" in told


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--scales", "-1"], "scales.2: Input should be greater than or equal to 0"),
        (["--clip-scales", "-2"], "clip_scales.2: Input should be greater than or equal to 0"),
        (["--num-prompts", "1"], "--num-prompts: Input should be greater than or equal to 2"),
        (["--num-prompts", "8"], "give a smaller --num-prompts, or --reference-split"),
        (["--data.image-size", "32"], "give --data.image-size 16"),
        (["--guidance-scale", "2"], "guidance_scale is what is swept; give scales"),
        (["--clip-guidance-at", "x_t"], "takes no timestep, so it cannot read x_t"),
        (["--text-to-unet", "false"], "nothing to guide; give scales 1"),
        (["--clip-prompts", "a cat"], "clip_prompts guides all pictures to the same text"),
    ],
)
def test_bad_settings(flags, more, complaint, capsys):
    assert complaint in refused([*flags, *more], capsys)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--scales", "2"], "scales"),
        (["--num-steps", "9", "--split", "val"], "num_steps, split"),
        (["--data", "x", "--model", "y", "--evaluators", "z"], "data, evaluators, model"),
    ],
)
def test_tables_take_no_other_setting(more, named, capsys):
    said = refused(["--table", "x.json", "--plot", "x.png", *more], capsys)
    assert said.endswith(f"table draws nothing, so leave out {named}")


def test_what_is_missing(capsys):
    assert "evaluators names 0 CLIPs; give two or more" in refused(["--model", "x"], capsys)
    assert "give model, a run folder" in refused(["--evaluators", "x", "y"], capsys)


def test_a_wrong_model_is_found_before_data(flags, monkeypatch):
    opened = []
    monkeypatch.setattr("textdiff.data.open_data", lambda *_: opened.append(_))
    with pytest.raises(CheckpointError):
        run(["guidance", *flags, "--model", "nowhere"])
    assert opened == []


def test_an_evaluator_alone_or_twice(flags, evaluators, capsys):
    others = without(flags, "--evaluators", 2)
    assert "names 1 CLIP;" in refused([*others, "--evaluators", evaluators[0]], capsys)
    told = refused([*others, "--evaluators", evaluators[0], evaluators[0]], capsys)
    assert f"is the evaluator {evaluators[0]} again" in told


def test_files_that_hold_no_sweep(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert "holds no sweep" in refused(["--table", tmp_path / "x.json"], capsys)
    assert "cannot be read as JSON" in refused(["--table", tmp_path / "y.json"], capsys)


# Names, fronts, labels


def test_pareto_front():
    def setting(name: str, kid: float, rate: float) -> dict:
        return {"name": name, "held_out": {"KID": {"mean": kid}, "R@1": {"mean": rate}}}

    closest, best = setting("closest", 0.1, 0.3), setting("best", 0.3, 0.8)
    settings = [closest, setting("beaten", 0.4, 0.7), setting("tied", 0.3, 0.5), best]
    assert pareto(settings) == [closest, best]


def test_labels_cover_neither_each_other_nor_points(tmp_path):
    rng = np.random.default_rng(0)
    points = [tuple(point) for point in rng.normal(size=(20, 2))]
    with figure(tmp_path / "labels.png", 6, 5, "a test") as drawn:
        axes = drawn.subplots()
        axes.plot(*zip(*points, strict=True), "o")
        placed = place_labels(axes, points, [f"{k}, 2.5" for k in range(20)])
        boxes = [label.get_window_extent() for label in placed]
        for k, box in enumerate(boxes):
            room = box.padded(0.99 * APART * axes.get_figure().dpi / 72)
            assert not room.count_overlaps(boxes[k + 1 :])
            assert not any(box.contains(*axes.transData.transform(point)) for point in points)
    assert len(placed) == 20


def test_no_kind_looks_as_another_or_as_real_pictures():
    styles = style_of_kinds([{"kind": str(k)} for k in range(20)])
    looks = {(style["color"], style["marker"]) for style in styles.values()}
    assert len(looks) == 20
    assert "*" not in {marker for _, marker in looks}
