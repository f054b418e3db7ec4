"""Whether pictures show what their prompts say, read without a network: numbers and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textdiff.data import open_data
from textdiff.evaluation.composition.asked import asked_for, scenes_by_caption
from textdiff.evaluation.composition.measure import Read, measure_composition, read_back
from textdiff.evaluation.composition.reading import reader_for, reader_protocol
from textdiff.evaluation.composition.result import NAMES, CompositionResult, SplitResult, rows_of
from textdiff.evaluation.composition.sheet import described, spread
from textdiff.evaluation.report.document import (
    Block,
    Gallery,
    Missing,
    Notes,
    Numbers,
    Part,
    Picture,
    Row,
    Section,
)
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.evaluation.report.images import of_tensor
from textdiff.evaluation.results import to_json

ANCHOR, TITLE = "composition", "Composition"
MEANINGS = {
    "object": "the things in the picture are those of the prompt, no fewer and no more",
    "colour": "the colours are those of the prompt, whatever has them",
    "both": "each thing has its own colour",
    "count": "there are as many things as asked for",
    "relation": "the things stand as asked, where both are there",
    "background": "the background has its colour",
    "all": "everything that the prompt says is right",
}


def composition(pictures: Mapping[str, DrawnSplit], examples: int) -> Part:
    """examples: of right and of wrong pictures, at most."""
    data = next(iter(pictures.values())).data
    lead = (
        "Whether a picture shows the things and colours of its prompt. Pictures are read by "
        "comparing them with drawings of everything that could be there; no network takes part."
    )
    if data.scenes is None:
        missing = Missing(
            "Composition",
            f"{data.name} has captions without facts, so nothing says what is right",
            "It is measured on --data scenes",
        )
        return Part(Section(ANCHOR, TITLE, lead, [missing]))
    reader = reader_for(open_data(data.config, "train"))
    drawn, real = {}, {}
    for split, each in pictures.items():
        scenes = scenes_by_caption(each.data)
        drawn[split] = read_back(reader, asked_for(each.drawn, scenes))
        real[split] = read_back(reader, asked_for(each.real, scenes))
    result = measure_composition(drawn, real, {})
    blocks: list[Block] = []
    for split, found in result.splits.items():
        blocks.append(Numbers(f"{_name(split)} combinations, split {split}", rows(found)))
        blocks += galleries(_name(split), drawn[split], examples)
    numbers = {"reader": to_json(reader_protocol(reader)), **to_json(result)}
    return Part(
        Section(ANCHOR, TITLE, lead, [*blocks, Notes(notes(result))]),
        headlines(result),
        {"composition": numbers},
    )


def rows(result: SplitResult) -> list[Row]:
    return [
        Row(name, MEANINGS[name], each.drawn.rate, ".1%", each.drawn.chance, each.real.rate.value)
        for name, each in rows_of(result).items()
    ]


def headlines(result: CompositionResult) -> list[Row]:
    """Everything right, of each split."""
    return [
        Row(
            f"All right, {_name(split).lower()} combinations",
            "share of pictures that show all that their prompt says",
            each.drawn.rate,
            ".0%",
            each.drawn.chance,
            each.real.rate.value,
        )
        for split, found in result.splits.items()
        if (each := found.aspects.get("all"))
    ]


def notes(result: CompositionResult) -> list[str]:
    sentences = ["Chance is what flawless pictures of other prompts would reach."]
    for split, found in result.splits.items():
        sentences.append(
            f"{_name(split)}: {found.pictures} pictures of {found.prompts} prompts; intervals are "
            f"over prompts; in {found.nothing:.0%} of the pictures nothing could be read, which "
            "counts as wrong."
        )
    gaps = result.seen_minus_unseen or {}
    if gap := gaps.get("all"):
        sentences.append(
            f"Seen minus unseen, everything right: {100 * gap.value:+.0f} points "
            f"({100 * gap.low:.0f} to {100 * gap.high:.0f})."
        )
    return sentences


def galleries(name: str, read: Read, examples: int) -> list[Block]:
    """Right pictures, then wrong ones with what was read in them, evenly over the prompts."""
    blocks: list[Block] = []
    for right in (True, False):
        numbers = [k for k, each in enumerate(read.agreements) if each.all is right]
        if not numbers:
            continue
        title = f"{name}: {'right' if right else 'wrong'}, {len(numbers)} of {len(read.readings)}"
        about = "" if right else "Above each caption: what was read in the picture instead."
        chosen = spread(numbers, examples)
        blocks.append(Gallery(title, about, examples_of(read, chosen, right)))
    return blocks


def examples_of(read: Read, chosen: Sequence[int], right: bool) -> list[Picture]:
    pictures = []
    for k in chosen:
        prompt, seen = read.asked.prompts[int(read.asked.prompt[k])], described(read.readings[k])
        alt = f"Drawn for: {prompt}; read as: {seen}"
        badge = "" if right else f"read: {seen}"
        pictures.append(of_tensor(read.asked.images[k], prompt, badge, alt))
    return pictures


def _name(split: str) -> str:
    return NAMES.get(split, split).capitalize()
