"""The drawn pictures as a whole beside real ones, and the training pictures nearest to them.

Drawn pictures of the first split, as `textdiff distribution` compares them. The floor of each
distance is that of pictures of nothing but noise, as many as were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from textdiff.data import open_data
from textdiff.errors import EmptySplitError
from textdiff.evaluation.distribution.drawn import of_drawn
from textdiff.evaluation.distribution.measure import as_they_enter, compare, neighbours_of
from textdiff.evaluation.distribution.result import (
    Comparison,
    DistributionProtocol,
    DistributionResult,
)
from textdiff.evaluation.distribution.run import Compared, notes_on
from textdiff.evaluation.distribution.sets import Real, Training, training_pictures
from textdiff.evaluation.distribution.table import ROWS
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.protocol import ModelProtocol, data_protocol
from textdiff.evaluation.report.document import (
    Block,
    Missing,
    Notes,
    Numbers,
    Pairs,
    Part,
    Picture,
    Row,
    Section,
)
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.evaluation.report.images import of_tensor
from textdiff.evaluation.results import to_json
from textdiff.pipeline.config import SamplingConfig
from textdiff.randomness import Stream

ANCHOR, TITLE = "distribution", "Distribution and copies"
LEAD = (
    "How the pictures as a whole differ from real ones: whether they look real, whether they are "
    "as varied, and whether they are copies of training pictures."
)
MEANINGS = {
    "frechet": "distance of means and covariances of the features; 0 is the same",
    "kid": "kernel distance of the features, without bias; 0 is the same",
    "cmmd": "kernel distance that assumes no shape of the distribution; 0 is the same",
    "precision": "share of drawn pictures that lie among real ones: do they look real?",
    "recall": "share of real pictures that lie among drawn ones: is everything drawn?",
    "density": "how densely real pictures lie around drawn ones; about 1 where both are the same",
    "coverage": "share of real pictures with a drawn one nearby",
    "diversity": "mean of 1 - cosine between pictures of one prompt; 0: all are the same",
    "copied": "share nearer to a training picture than 95% of held-out real pictures are",
}
TRAINING, HELD_OUT = "train", "val"


@dataclass(frozen=True)
class Setting:
    """model: that drew. config, prompt_seed: how. reference_split, limit: the real pictures.
    involved: of `involved_in`."""

    model: ModelProtocol
    config: SamplingConfig
    prompt_seed: int
    reference_split: str
    limit: int | None
    examples: int
    involved: Mapping[str, str]


def distribution(by: CachedFeatures, pictures: DrawnSplit, setting: Setting) -> Part:
    """Raises DataError: data that cannot be used."""
    compared = compare_drawn(by, pictures, setting)
    if isinstance(compared, Missing):
        return Part(Section(ANCHOR, TITLE, LEAD, [compared]))
    result = compared.measure()
    noise = noise_beside(by, pictures, compared)
    protocol = compared.protocol(setting.prompt_seed, setting.config)
    floors = {name: each.value for name, each in noise.estimates()}
    blocks: list[Block] = [
        Numbers(
            title_of(result, compared.real.title, by.protocol.name),
            rows(result, floors),
            floor="noise",
            ceiling="real halves",
        ),
        Notes(notes(result)),
        nearest(compared, pictures, setting.examples),
    ]
    shown = {ROWS["frechet"][0]: ".3g", ROWS["copied"][0]: ".1%"}
    headlines = [
        replace(row, digits=shown[row.name]) for row in rows(result, floors) if row.name in shown
    ]
    numbers = numbers_of(protocol, result, noise)
    return Part(Section(ANCHOR, TITLE, LEAD, blocks), headlines, {"distribution": numbers})


def compare_drawn(by: CachedFeatures, pictures: DrawnSplit, setting: Setting) -> Compared | Missing:
    """Or what is missing: a distribution has two prompts and two real pictures or more."""
    what = "The distribution"
    if len(pictures.prompts) < 2:
        why = f"{pictures.data.title} has one caption that can be a prompt"
        return Missing(what, why, "Name another --split")
    drawn = of_drawn(
        by,
        pictures.drawn,
        pictures.per_prompt,
        setting.model,
        setting.config,
        involved=setting.involved,
    )
    try:
        data = open_data(pictures.data.config, setting.reference_split)
    except EmptySplitError as error:
        return Missing(what, str(error), "Name another --reference-split")
    real = Real(by.of_split(data, setting.limit), data.title, data_protocol(data), data)
    if len(real.features) < 2:
        return Missing(what, f"{data.title} is too few", "Name another --reference-split")
    looked_for = training_pictures(
        by,
        pictures.data.config,
        drawn.features.features,
        real,
        split=TRAINING,
        held_out_split=HELD_OUT,
    )
    notes = notes_on(by.protocol.kind, by.protocol.name)
    if isinstance(looked_for, Training):
        return Compared(drawn, real, looked_for, notes)
    return Compared(drawn, real, None, [*notes, looked_for])


def noise_beside(by: CachedFeatures, pictures: DrawnSplit, compared: Compared) -> Comparison:
    """As many pictures of independent pixels, each level as likely, against the real ones."""
    shape = pictures.drawn.images.shape
    images = Stream("noise pictures").integers(256, *shape).to(torch.uint8)
    noise = by.of_prompted(PromptedPictures(pictures.drawn.prompts, images)).features
    real, unit_length = compared.real.features.features, compared.unit_length
    x, y = as_they_enter(noise, unit_length), as_they_enter(real, unit_length)
    return compare(x, y, neighbours_of(x, y), pictures.per_prompt, unit_length)


def rows(result: DistributionResult, floors: Mapping[str, float]) -> list[Row]:
    ceilings = {name: each.value for name, each in result.real.estimates()} if result.real else {}
    floors = {**floors, "diversity": 0.0}
    if result.copying:
        ceilings["copied"] = result.copying.chance
    return [
        Row(label, MEANINGS[name], each, digits, floors.get(name), ceilings.get(name))
        for name, each in result.estimates()
        for label, digits, _ in [ROWS[name]]
    ]


def title_of(result: DistributionResult, real: str, by: str) -> str:
    return f"{result.drawn.pictures} drawn pictures against {result.drawn.real} of {real}, by {by}"


def notes(result: DistributionResult) -> list[str]:
    sentences = ["Noise: as many pictures of random pixels, as a model that learned nothing draws."]
    if result.real:
        sentences.append(
            f"Real halves: {result.real.pictures} of these real pictures against "
            f"{result.real.real} others, what a perfect model would reach; of copies, the share "
            "among held-out real pictures."
        )
    return [*sentences, *result.warnings]


def nearest(compared: Compared, pictures: DrawnSplit, examples: int) -> Block:
    """The drawn pictures that are nearest to a training picture, each above it."""
    if compared.training is None:
        why = "there are no training and held-out pictures to look among"
        return Missing("Nearest training pictures", why, "Give data with train and val splits")
    found, training = compared.training.copies.drawn, compared.training
    order = found.similarity.argsort(descending=True, stable=True)[:examples].tolist()
    pairs = []
    for k in order:
        row = int(found.index[k])
        caption = " ".join(training.features.captions[row][:1])
        drawn = of_tensor(
            pictures.drawn.images[k],
            pictures.drawn.prompts[k],
            f"cosine {found.similarity[k]:.3f}",
            f"Drawn for: {pictures.drawn.prompts[k]}",
        )
        pairs.append((drawn, training_picture(training, row, caption)))
    about = (
        "The drawn pictures that are most like a training picture, each above that picture. A copy "
        "shows its very pixels; a model that learned shows another picture of the same."
    )
    return Pairs("Nearest training pictures", about, pairs)


def training_picture(training: Training, row: int, caption: str) -> Picture:
    image = training.data.image(training.features.positions[row])
    return of_tensor(image, caption, "trained on", f"Training picture: {caption}")


def numbers_of(
    protocol: DistributionProtocol, result: DistributionResult, noise: Comparison
) -> dict[str, object]:
    return {**to_json(protocol), **to_json(result), "noise": to_json(noise)}
