"""What CLIPs say of the drawn pictures: a table for each, and the best and worst pictures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor

from textdiff.evaluation.composition.result import NAMES
from textdiff.evaluation.features.cached import CachedFeatures
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
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.evaluation.report.images import of_tensor
from textdiff.evaluation.report.judged import Beside, Judged, JudgedResult, judge_all
from textdiff.evaluation.results import to_json
from textdiff.metrics.sample_size import too_few

SCORE = "mean cosine x 100 between a picture and its prompt"
FIRST = "share of pictures whose prompt the CLIP ranks first among {}"
FIFTH = "share of pictures whose prompt is among its first five of {}"


def following(
    judges: Mapping[str, CachedFeatures],
    own: CachedFeatures,
    pictures: Mapping[str, DrawnSplit],
    examples: int,
) -> Part:
    """judges: by name; none: `own`, the model's own CLIP, alone. examples: best and worst pictures
    of each, at most."""
    lead = (
        "How well pictures fit their prompts as a CLIP sees it. One that took no part in training "
        "cannot have been pleased on purpose."
    )
    blocks: list[Block] = []
    headlines: list[Row] = []
    numbers = {}
    for name, by in judges.items() or [(own.protocol.name, own)]:
        judged = judge_all(by, pictures, took_part=not judges)
        numbers[name] = {split: to_json(each.result) for split, each in judged.items()}
        results = {split: each.result for split, each in judged.items()}
        for split, result in results.items():
            blocks.append(Numbers(f"{_name(split)} prompts, by {name}", rows(result)))
        blocks.append(Notes(notes(results, took_part=not judges)))
        blocks += galleries(name, judged, pictures, examples)
        headlines += headlines_of(results) if not headlines else []
    if not judges:
        blocks.append(
            Missing(
                "Prompt following, R@k",
                "the model's own CLIP cannot say: training lets pictures please it",
                "Give a CLIP of another seed or data: --judge FOLDER",
            )
        )
    section = Section("following", "Prompt following and CLIP score", lead, blocks)
    return Part(section, headlines, {"judged": numbers})


def rows(result: JudgedResult) -> list[Row]:
    among = f"{result.prompts} prompts"
    named = (
        ("R@1", FIRST.format(among), result.recall_at_1, ".1%"),
        ("R@5", FIFTH.format(among), result.recall_at_5, ".1%"),
        ("CLIP score", SCORE, result.clip_score, ".2f"),
    )
    return [_row(name, about, each, digits) for name, about, each, digits in named if each]


def _row(name: str, meaning: str, each: Beside, digits: str) -> Row:
    return Row(name, meaning, each.drawn, digits, each.chance, each.real.value)


def headlines_of(results: Mapping[str, JudgedResult]) -> list[Row]:
    """R@1 of each split, or else the CLIP score."""
    found = []
    for split, result in results.items():
        name = f"{_name(split)} prompts"
        if result.recall_at_1:
            about = FIRST.format(f"{result.prompts} prompts")
            found.append(_row(f"R@1, {name.lower()}", about, result.recall_at_1, ".0%"))
        else:
            found.append(_row(f"CLIP score, {name.lower()}", SCORE, result.clip_score, ".1f"))
    return found


def notes(results: Mapping[str, JudgedResult], took_part: bool) -> list[str]:
    sentences = [
        "Chance of R@k is k of N prompts in random order, that of the CLIP score the score of each "
        "picture with the next prompt.",
    ]
    if took_part:
        sentences.append("The model was trained with this CLIP, which flatters its pictures.")
    for split, result in results.items():
        name, count = _name(split), f"{result.pictures} pictures of {result.prompts} prompts"
        sentences.append(f"{name}: {count}; intervals are over prompts.")
        sentences += too_few("mean", result.prompts)
        if result.captions_cut:
            sentences.append(f"{name}: the CLIP sees {result.captions_cut} prompts cut.")
    return list(dict.fromkeys(sentences))


def galleries(
    name: str, judged: Mapping[str, Judged], pictures: Mapping[str, DrawnSplit], examples: int
) -> list[Block]:
    """Best and worst by CLIP score, and those whose prompt comes late among all: one picture of a
    prompt, all splits together."""
    scores, ranks = (
        torch.cat([getattr(each, values) for each in judged.values()])
        for values in ("scores", "ranks")
    )
    images = torch.cat([pictures[split].drawn.images for split in judged])
    prompts = [prompt for split in judged for prompt in pictures[split].drawn.prompts]

    def gallery(title: str, quality: Tensor, badges: list[str]) -> Gallery:
        chosen = first_of_prompts(quality, prompts, examples)
        shown = [
            of_tensor(images[k], prompts[k], badges[k], f"Drawn for: {prompts[k]}") for k in chosen
        ]
        return Gallery(title, f"Judged by {name}.", shown)

    said = [f"{score:.1f}" for score in scores.tolist()]
    blocks: list[Block] = [
        gallery("Best by CLIP score", scores, said),
        gallery("Worst by CLIP score", -scores, said),
    ]
    if any(each.result.recall_at_1 for each in judged.values()) and bool((ranks > 1).any()):
        late = torch.where(ranks > 1, ranks.double() - scores.double() / 1000, -torch.inf)
        said = [f"rank {rank}" for rank in ranks.tolist()]
        blocks.append(gallery("Prompt ranked late", late, said))
    return blocks


def first_of_prompts(quality: Shaped[Tensor, " n"], prompts: list[str], count: int) -> list[int]:
    """Numbers of the `count` best pictures, the best one of each prompt alone; those of quality
    -inf are left out."""
    best: dict[str, int] = {}
    for k in quality.argsort(descending=True, stable=True).tolist():
        if quality[k] > -torch.inf:
            best.setdefault(prompts[k], k)
        if len(best) == count:
            break
    return list(best.values())


def _name(split: str) -> str:
    return NAMES.get(split, split).capitalize()
