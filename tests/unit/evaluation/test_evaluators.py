"""Evaluators: none may have had a part, none may be given twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import (
    involved_in,
    load_evaluator,
    load_evaluators,
    note_on_part,
)
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.sections import ClipGuidanceConfig, SelectionConfig


def test_an_evaluator_with_a_part(tiny_clip):
    involved = {ClipModel.load(tiny_clip).weights_hash(): "the CLIP of the model"}
    with pytest.raises(UsageError, match=r"--judge .* is the CLIP of the model; give one of "):
        load_evaluator("--judge", str(tiny_clip), "cpu", involved)


def test_evaluators_are_frozen_and_named(tiny_clip, other_clip):
    names = [str(other_clip), str(tiny_clip)]
    found = load_evaluators("--evaluators", names, "cpu", {})
    assert list(found) == names
    assert found[names[0]].weights_hash() == ClipModel.load(other_clip).weights_hash()
    assert not any(p.requires_grad for clip in found.values() for p in clip.parameters())


def test_an_evaluator_twice(other_clip):
    name = str(other_clip)
    with pytest.raises(UsageError, match=f"--evaluators {name} is the evaluator {name} again"):
        load_evaluators("--evaluators", [name, name], "cpu", {})


def chosen_by(judge: str | None) -> SamplingConfig:
    return SamplingConfig(selection=SelectionConfig(best_of=2, judge=judge))


def guided_by(guide: str | None, scale: float = 1.0) -> SamplingConfig:
    return SamplingConfig(clip_guidance=ClipGuidanceConfig(scale=scale, guide=guide))


def test_the_clip_of_the_model_is_always_involved(pipe):
    for config in (SamplingConfig(), chosen_by(None), guided_by(None)):
        found = involved_in(pipe, "m", config)
        assert found == {pipe.clip.weights_hash(): "the CLIP that m was trained with"}


def test_a_clip_that_chooses_or_guides_is_involved(pipe, other_clip):
    name, weights = str(other_clip), ClipModel.load(other_clip).weights_hash()
    chosen, guided = (
        involved_in(pipe, "m", chosen_by(name)),
        involved_in(pipe, "m", guided_by(name)),
    )
    assert chosen[weights] == f"the CLIP that chooses among candidates, {name}"
    assert guided[weights] == f"the CLIP that guides, {name}"
    assert weights not in involved_in(pipe, "m", guided_by(name, scale=0))


def test_what_a_noised_clip_that_guides_came_from_is_involved(pipe, noised_with_clean):
    clean = ClipModel.load(noised_with_clean / "clean")
    pipe.clip.model.logit_scale.data.add_(1)  # else it would be the model's own
    found = involved_in(pipe, "m", guided_by(str(noised_with_clean)))
    assert found[clean.weights_hash()] == f"the CLIP that guides, {noised_with_clean}"


def test_a_note_on_a_network_with_a_part():
    assert note_on_part("judge", "abc", {"def": "the CLIP that guides, g"}) == []
    (note,) = note_on_part("judge", "abc", {"abc": "the CLIP that guides, g"})
    assert note.startswith("judge is the CLIP that guides, g, which flatters its pictures; give a")


@pytest.mark.parametrize(
    "command",
    [
        ["prompt-following", "--model", "MODEL", "--split", "all"],
        ["composition", "--model", "MODEL"],
        ["report", "--run", "MODEL", "--split", "all"],
    ],
)
@pytest.mark.parametrize(
    ("drawn", "part"),
    [
        (["--best-of", "2", "--selection.judge", "JUDGE"], "chooses among candidates"),
        (["--clip-guidance-scale", "1", "--clip-guide", "JUDGE"], "guides"),
    ],
)
def test_who_chose_or_guided_does_not_judge(
    command, drawn, part, tiny_run, other_clip, shapes, monkeypatch
):
    """Found before anything is drawn."""
    monkeypatch.setattr("textdiff.pipeline.TextToImage.draw", None)
    monkeypatch.setattr("textdiff.evaluation.composition.reading.reader_for", lambda data: None)
    named = {"MODEL": tiny_run, "JUDGE": other_clip}
    given = [str(named.get(word, word)) for word in (*command, *drawn)]
    given += ["--judge", same_weights(other_clip), "--data", str(shapes), "--data.min-side", "4"]
    with pytest.raises(UsageError, match=f"is the CLIP that {part}, {other_clip}"):
        run(given)


def same_weights(clip: Path) -> str:
    """The folder by another path."""
    return str(clip / ".." / clip.name)
