"""Every evaluation has what is needed to compare two files of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.helpers.bounds import result_of as bounds_of
from tests.helpers.protocols import CLIP, DATA, MODEL
from tests.helpers.sweeps import FINAL, scores, setting, sweep
from textdiff.commands.cli import COMMANDS
from textdiff.errors import UsageError
from textdiff.evaluation.clip_score.measure import ClipScoreResult
from textdiff.evaluation.compare.document import read_document
from textdiff.evaluation.compare.kinds import KINDS
from textdiff.evaluation.compare.measure import compare
from textdiff.evaluation.compare.protocols import Differing, compare_protocols
from textdiff.evaluation.composition.result import CompositionResult
from textdiff.evaluation.distribution.by_item import ItemNames
from textdiff.evaluation.distribution.measure import measure_distribution
from textdiff.evaluation.distribution.result import DistributionProtocol, DistributionResult
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.evaluation.guidance.protocol import METRIC
from textdiff.evaluation.guidance.sweep import Scales, Sweep
from textdiff.evaluation.inversion.measure import Inversion, result_of
from textdiff.evaluation.inversion.result import InversionProtocol, InversionResult
from textdiff.evaluation.likelihood.result import LikelihoodProtocol, LikelihoodResult
from textdiff.evaluation.noised_clip.result import NoisedClipResult
from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.prior.measure import Rows, measure_prior
from textdiff.evaluation.prior.result import (
    EmbeddingsProtocol,
    PriorModelProtocol,
    PriorProtocol,
    PriorResult,
)
from textdiff.evaluation.prompt_following.measure import (
    PromptFollowingProtocol,
    PromptFollowingResult,
)
from textdiff.evaluation.results import json_fields, to_json
from textdiff.evaluation.retrieval.measure import RetrievalProtocol, RetrievalResult
from textdiff.evaluation.unclip.result import UnclipResult
from textdiff.evaluation.vae.result import VaeResult
from textdiff.evaluation.zero_shot.result import (
    ClassesProtocol,
    PromptsProtocol,
    ZeroShotProtocol,
    ZeroShotResult,
)

RESULTS = {
    "clip-score": ClipScoreResult,
    "prompt-following": PromptFollowingResult,
    "retrieval": RetrievalResult,
    "classify": ZeroShotResult,
    "composition": CompositionResult,
    "distribution": DistributionResult,
    "inversion": InversionResult,
    "likelihood": LikelihoodResult,
    "prior": PriorResult,
    "noised-clip": NoisedClipResult,
    "vae": VaeResult,
    "unclip": UnclipResult,
    "guidance": Sweep,
}


MORE = {"guidance": {"choosers"}}  # settings that are made from the content


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.command)
def test_keys_are_those_of_the_evaluation(kind):
    protocol = {each.key for each in json_fields(kind.protocol)}
    result = {each.key for each in json_fields(RESULTS[kind.command])}
    assert kind.command in COMMANDS
    assert {key.partition(".")[0] for key in (*kind.subject, *kind.given, *kind.beside)} <= (
        protocol | set(kind.also) | MORE.get(kind.command, set())
    )
    assert {key.partition(".")[0] for key in (*kind.also, *kind.unpaired.values())} <= result
    assert "per_item" in result or kind.command in ("likelihood", "guidance")


def test_every_evaluation_can_be_compared():
    writers = {name for name, command in COMMANDS.items() if "JSON" not in command.about}
    assert {kind.command for kind in KINDS} <= writers
    assert RESULTS.keys() == {kind.command for kind in KINDS}


@pytest.fixture
def rows(tmp_path):
    """Of two documents, by name."""

    def of(one, other):
        paths = [tmp_path / "a.json", tmp_path / "b.json"]
        for path, document in zip(paths, (one, other), strict=True):
            path.write_text(json.dumps(to_json(document)))
        a, b = (read_document(str(path)) for path in paths)
        return {row.name: row for row in compare(a, b, compare_protocols(a, b)).rows}

    return of


def ranks(*numbers: int, **more: list[int]):
    names = [f"item {k}" for k in range(len(numbers))]
    values = {"rank": torch.tensor(numbers), **{k: torch.tensor(v) for k, v in more.items()}}
    return values_by_item(names, values)


def test_prompt_following(rows):
    def document(*numbers):
        protocol = PromptFollowingProtocol(
            prompt_seed=0, model=MODEL, judge=CLIP, data=DATA, sampling={}
        )
        result = PromptFollowingResult(4, {}, {"drawn": ranks(*numbers), "real": ranks(1, 1, 1, 1)})
        return {**to_json(protocol), **to_json(result)}

    found = rows(document(1, 2, 3, 9), document(1, 1, 1, 9))
    assert list(found) == ["drawn pictures R@1", "drawn pictures R@5"]
    assert found["drawn pictures R@1"].difference.value == 0.5
    assert found["drawn pictures R@5"].verdict == "the same"
    with pytest.raises(UsageError, match="prompts is 4 and 5"):
        rows(document(1, 2), {**document(1, 2), "prompts": 5})


def test_retrieval(rows):
    def document(clip, *numbers):
        per_item = {way: ranks(*numbers) for way in ("image to text", "text to image")}
        content = {"searched": 3, "captions": 3, "per_item": per_item}
        return {**to_json(RetrievalProtocol(data=DATA, clip=clip)), **content}

    found = rows(document(CLIP, 1, 1, 9), document(replace(CLIP, weights="9"), 1, 7, 9))
    names = [f"{way} R@{k}" for way in ("image to text", "text to image") for k in (1, 5, 10)]
    assert list(found) == names
    values = [found[name].difference.value for name in names[:3]]
    assert values == pytest.approx([-1 / 3, -1 / 3, 0])


def test_classify(rows):
    def document(*numbers, **prompts):
        protocol = ZeroShotProtocol(
            truth="label",
            classes=ClassesProtocol("c.txt", 9, "f"),
            prompts=replace(PromptsProtocol("t.txt", "abc", 1, ["{}"]), **prompts),
            data=DATA,
            clip=CLIP,
        )
        per_item = {"pictures": ranks(*numbers, **{"class": [0, 0, 0, 4]})}
        return {**to_json(protocol), "per_item": per_item}

    found = rows(document(1, 1, 2, 2), document(1, 1, 2, 1))
    assert list(found) == ["top-1", "top-5", "mean per class"]
    assert found["top-1"].difference.value == 0.25
    assert found["mean per class"].difference.value == 0.5
    assert found["mean per class"].difference.low == 0.5  # the one picture of its class
    assert rows(document(1, 1, 2, 2), document(1, 1, 2, 1, source="../t.txt")) == found
    with pytest.raises(UsageError, match=r"prompts\.sha256 is \"abc\" and \"def\""):
        rows(document(1, 1, 2, 2), document(1, 1, 2, 1, sha256="def"))


def test_inversion(rows):
    def document(levels):
        images, noise = torch.zeros(2, 3, 2, 2, dtype=torch.uint8), torch.zeros(2, 3, 2, 2)
        again = torch.full((2, 3, 2, 2), -1 + 2 * levels / 255)
        protocol = InversionProtocol(picture_seed=0, spacing="trailing", model=MODEL, data=DATA)
        real = PromptedPictures(["red apple", "blue kite"], images)
        return {**to_json(protocol), **to_json(result_of(real, [Inversion(5, noise, again)]))}

    found = rows(document(10), document(20))
    assert list(found) == ["5 steps, rmse", "5 steps, psnr"]
    assert found["5 steps, rmse"].difference.value == pytest.approx(10, rel=1e-4)
    assert found["5 steps, psnr"].verdict == "B lower"


def test_prior(rows):
    images = torch.eye(3)
    texts = Rows(["0.png", "1.png", "2.png"], ["a", "b", "c"], images, images, images.mean(0))

    def document(kind, drawn):
        protocol = PriorProtocol(
            prior=PriorModelProtocol("p", kind, 4, kind, "0123"),
            embeddings=EmbeddingsProtocol("test", 3, "abc", {}),
            sampling={"seed": 0},
        )
        return {**to_json(protocol), **to_json(measure_prior(texts, {"best of 1": images[drawn]}))}

    found = rows(document("diffusion", [0, 1, 1]), document("autoregressive", [0, 1, 2]))
    assert found["best of 1: cosine"].difference.value == pytest.approx(1 / 3)
    assert found["best of 1: R@1"].difference.value == pytest.approx(1 / 3)
    assert found["text embedding: R@1"].difference.value == 0


def test_likelihood(rows):
    def document(*kinds):
        result = bounds_of(*kinds)
        names = {"identifiers": [f"{k}.png" for k in range(5)]}
        protocol = LikelihoodProtocol(
            model=MODEL,
            data=DATA,
            image_seed=0,
            process="gaussian",
            spacing=None,
            seed=0,
            dtype="float32",
        )
        per_picture = {"per_picture": {**names, **result.per_picture}}
        return {**to_json(protocol), **to_json(result), **per_picture}

    found = rows(document("first", "none"), document("none", "first"))
    assert list(found) == ["first, bits/dim", "none, bits/dim"]
    values = [each.difference.value for each in found.values()]
    assert values[0] == pytest.approx(-values[1])
    assert abs(values[0]) > 0.01


def test_guidance(rows):
    one = replace(sweep(), protocol=replace(sweep().protocol, metric=METRIC))
    better = replace(one.settings[0], scores=scores(0.6, 0.05))
    other = replace(one, settings=(better, one.settings[1]))
    found = rows(one, other)
    assert list(found) == [
        *("unguided: held out R@1", "CFG 3: held out R@1"),
        *("unguided: held out KID", "CFG 3: held out KID"),
    ]
    assert found["unguided: held out R@1"].difference.value == pytest.approx(0.4)
    assert found["unguided: held out KID"].difference.value == pytest.approx(-0.05)
    assert found["unguided: held out KID"].verdict == "B lower"
    assert found["CFG 3: held out KID"].verdict == "the same"


def with_judge(**changes):
    """A sweep of a choice by a CLIP with these changes."""
    one = replace(sweep(), protocol=replace(sweep().protocol, metric=METRIC))
    return replace(one, settings=(setting(Scales(3, 0, replace(FINAL, **changes))),))


def test_a_clip_that_chooses_is_known_by_its_weights(rows):
    found = rows(with_judge(), with_judge(judge="elsewhere/clip"))
    name = "CFG 3, best of 4 by final clean CLIP (abc)"
    assert list(found) == [f"{name}: held out R@1", f"{name}: held out KID"]
    with pytest.raises(UsageError, match="no item in common"):  # another CLIP at the same path
        rows(with_judge(), with_judge(weights="other"))


def test_other_clips_that_choose_are_listed(tmp_path):
    documents = []
    for name, weights in (("a", "abc"), ("b", "other")):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(to_json(with_judge(weights=weights))))
        documents.append(read_document(str(path)))
    (found,) = compare_protocols(*documents)
    assert found == Differing("choosers", ["abc"], ["other"])


@pytest.mark.parametrize("with_prompts", [True, False])
def test_distribution(rows, with_prompts):
    real = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    prompts = [f"prompt {k // 2}" for k in range(16)] if with_prompts else None
    extractor = ExtractorProtocol(
        "judge", "clip", "789", "projection", 4, Preprocessing(8, "crop", "bicubic", True, (), ())
    )

    def document(shift):
        drawn = torch.randn(16, 4, generator=torch.Generator().manual_seed(1)) + shift
        protocol = DistributionProtocol(
            neighbours=5,
            unit_length=False,
            per_prompt=2,
            features=extractor,
            model=MODEL,
            pictures=None,
            data=DATA,
            training=None,
            held_out=None,
            prompt_seed=0,
            sampling={},
        )
        names = ItemNames(prompts, [str(k) for k in range(20)])
        result = measure_distribution(drawn, real, per_prompt=2, unit_length=False, names=names)
        return {**to_json(protocol), **to_json(result)}

    one, other = document(0.0), document(3.0)
    found = rows(one, other)
    paired = ["recall", "coverage"] + ["precision", "density", "diversity"] * with_prompts
    assert [name for name, row in found.items() if row.difference is not None] == paired
    for name in ("frechet", "kid", "cmmd"):
        assert (found[name].verdict, found[name].difference) == ("not paired", None)
        assert found[name].a.value == one["drawn"][name]["mean"]
    for name in ("recall", "precision"):
        assert found[name].a.value == pytest.approx(one["drawn"][name]["mean"])
        assert found[name].b.value == pytest.approx(other["drawn"][name]["mean"])
    assert (found["precision"].items, found["recall"].items) == (8 if with_prompts else None, 20)
