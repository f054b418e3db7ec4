"""Files of numbers as evaluations write them, with values of our choice and without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.helpers.protocols import CLIP, DATA, MODEL
from textdiff.evaluation.clip_score.measure import ClipScore, ClipScoreProtocol, ClipScoreResult
from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.results import to_json, write_result
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.clip_score import PAPER_WEIGHT

SAMPLING: Mapping[str, object] = {"seed": 0, "num_steps": 10}


def clip_score_file(
    path: Path,
    scores: Mapping[str, float] | Sequence[tuple[str, float]],
    *,
    model: str | None = "model",
    weights: str = "123",
    sampling: Mapping[str, object] = SAMPLING,
    **changes: Any,
) -> str:
    """Of drawn pictures with these scores by prompt; of given ones if there is no model.

    changes: of fields of the protocol, or of the whole document by their key.
    """
    pairs = list(scores.items()) if isinstance(scores, Mapping) else list(scores)
    protocol = ClipScoreProtocol(
        model=None if model is None else replace(MODEL, name=model, weights=weights),
        clip=CLIP,
        data=DATA,
        prompt_seed=0,
        sampling=None if model is None else dict(sampling),
    )
    values = torch.tensor([score for _, score in pairs])
    kind = "given" if model is None else "drawn"
    items = values_by_item([prompt for prompt, _ in pairs], {"score": values})
    score = ClipScore(estimate_mean(values), len(pairs), estimate_mean(values * PAPER_WEIGHT / 100))
    write_result(path, protocol, ClipScoreResult(100.0, 0, {kind: score}, {kind: items}))
    return edited(path, **changes)


def edited(path: Path | str, **changes: Any) -> str:
    """The file with other values under these keys; None: without them."""
    document = json.loads(Path(path).read_text())
    for key, value in changes.items():
        if value is None:
            del document[key]
        else:
            document[key] = to_json(value)
    Path(path).write_text(json.dumps(document))
    return str(path)
