"""What a CLIP finds on its splits, and the pictures whose caption it finds first or last."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from textdiff.data import CaptionedImages
from textdiff.errors import DataError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.protocol import data_protocol
from textdiff.evaluation.report.document import (
    Block,
    Gallery,
    Missing,
    Notes,
    Numbers,
    Part,
    Row,
    Section,
)
from textdiff.evaluation.report.images import of_tensor
from textdiff.evaluation.results import to_json
from textdiff.evaluation.retrieval.measure import RetrievalResult, measure_retrieval
from textdiff.metrics.features import distinct_captions
from textdiff.metrics.retrieval import image_text_retrieval
from textdiff.metrics.sample_size import too_few

DEFAULT_SPLITS = ("val", "test")
MEANINGS = {
    "image to text": "a right caption of a picture is among the first {k} of {captions}",
    "text to image": "a right picture of a caption is among the first {k} of {searched}",
}


def retrieval(by: CachedFeatures, splits: Mapping[str, CaptionedImages], examples: int) -> Part:
    """examples: pictures of each kind that are shown, at most."""
    blocks: list[Block] = []
    headlines: list[Row] = []
    numbers = {}
    for split, data in splits.items():
        images = by.of_split(data)
        try:
            result = measure_retrieval(by, images)
        except DataError as error:
            blocks.append(Missing(f"Retrieval on {split}", str(error), "Name another --split"))
            continue
        found = rows(result)
        title = f"{data.title}: {result.searched} pictures, {result.captions} captions"
        blocks.append(Numbers(title, found, ceiling=""))
        blocks.append(Notes(notes(result)))
        blocks += galleries(by, data, images, examples)
        headlines += [
            Row(f"{row.name}, {split}", row.meaning, row.estimate, ".0%", row.floor, 1.0)
            for row in found
            if row.name.endswith("R@1")
        ]
        numbers[split] = {"data": to_json(data_protocol(data)), **to_json(result)}
    lead = "Which caption the CLIP finds for a picture, and which picture for a caption."
    section = Section("retrieval", "Retrieval", lead, blocks)
    return Part(section, headlines, {"retrieval": numbers})


def rows(result: RetrievalResult) -> list[Row]:
    found = []
    for direction, rates in result.rates.by_direction().items():
        for k, rate in rates.by_k().items():
            meaning = MEANINGS[direction].format(
                k=k, captions=result.captions, searched=result.searched
            )
            found.append(Row(f"{direction} R@{k}", meaning, rate.recall, ".1%", rate.chance, 1.0))
        found.append(
            Row(
                f"{direction} median rank",
                "half of the searches find a right one by this rank",
                rates.median.rank,
                ".1f",
                rates.median.chance,
                1.0,
            )
        )
    return found


def notes(result: RetrievalResult) -> list[str]:
    sentences = ["Ties count against. A caption that several pictures have is right for each."]
    sentences += too_few("mean", result.searched)
    if result.captions_cut:
        sentences.append(f"The CLIP sees {result.captions_cut} captions cut.")
    return sentences


def galleries(
    by: CachedFeatures, data: CaptionedImages, images: FeatureSet, examples: int
) -> list[Block]:
    """Pictures by the rank of their best right caption: the first ones, and the last."""
    captions = distinct_captions(images.captions)
    texts = by.of_captions(captions.texts)
    ranking = image_text_retrieval(images.features, texts, captions.image, captions.text)
    ranks = ranking.image_to_text.ranks
    blocks: list[Block] = []
    for word, descending in (("first", False), ("last", True)):
        order = torch.argsort(ranks, descending=descending, stable=True)[:examples].tolist()
        shown = [
            of_tensor(
                data.image(images.positions[k]),
                images.captions[k][0],
                f"rank {int(ranks[k])}",
                f"Picture of {data.name}: {images.captions[k][0]}",
            )
            for k in order
        ]
        title = f"{data.split}: whose caption is found {word}"
        blocks.append(Gallery(title, "Rank of its caption among all of the split.", shown))
    return blocks
