"""Whether a CLIP reads how things stand, and not only which things there are.

    python benchmarks/word_order.py --clip runs/scenes-clip --json out/word_order.json

Each held-out scene with two things has its own caption and one that is wrong by one fact alone; the
share of pictures that are nearer to their own is printed, chance being 50%, with the mean cosine
between features of the two captions (1: they are the same to this CLIP).

    opposite relation   left of for right of, above for below
    other axis          above for left of, below for right of
    colours exchanged   each thing in the other's colour

The scenes are those of the CLIP's data: `val` shows combinations of training, `test` others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from protocol import protocol

from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.of_run import data_of_run
from textdiff.data.scenes.facts import CONVERSE, Relation, Scene
from textdiff.data.scenes.wording import captions
from textdiff.evaluation.results import write_numbers

OTHER_AXIS: dict[Relation, Relation] = {
    "left of": "above",
    "right of": "below",
    "above": "left of",
    "below": "right of",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", required=True, help="folder of a CLIP trained on scenes")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    clip = ClipModel.load(arguments.clip).freeze()
    config = data_of_run(DataConfig(), "--clip", arguments.clip)
    results = {split: measured(clip, open_data(config, split)) for split in ("val", "test")}
    for split, rows in results.items():
        for name, row in rows.items():
            print(
                f"{split:5} {name:18} nearer to their own: {row['share']:.1%} of "
                f"{row['pictures']}, cosine of the captions {row['cosine']:.3f}"
            )
    if arguments.json:
        write_numbers(arguments.json, {"protocol": protocol(arguments, "cpu"), **results})


def measured(clip: ClipModel, data: CaptionedImages) -> dict[str, dict[str, float]]:
    """Of the scenes of a split with two things, by what is wrong in the other caption."""
    scenes = [(k, scene) for k, scene in enumerate(data.scenes) if scene and scene.relation]
    pictures = unit(image_features(clip, torch.stack([data.image(k) for k, _ in scenes])))
    own = unit(text_features(clip, [captions(scene)[0] for _, scene in scenes]))
    rows = {}
    for name, changed in CHANGES.items():
        others = [changed(scene) for _, scene in scenes]
        differs = torch.tensor([o != s for o, (_, s) in zip(others, scenes, strict=True)])
        other = unit(text_features(clip, [captions(scene)[0] for scene in others]))
        nearer = (pictures * own).sum(1) > (pictures * other).sum(1)
        rows[name] = {
            "share": nearer[differs].double().mean().item(),
            "pictures": int(differs.sum()),
            "cosine": (own * other).sum(1)[differs].mean().item(),
        }
    return rows


def unit(features: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(features.float(), dim=1)


def opposite(scene: Scene) -> Scene:
    return replace(scene, relation=CONVERSE[scene.relation])


def on_the_other_axis(scene: Scene) -> Scene:
    return replace(scene, relation=OTHER_AXIS[scene.relation])


def colours_exchanged(scene: Scene) -> Scene:
    first, second = (group.colour for group in scene.groups)
    counts = [group.count for group in scene.groups]
    colours = [second] * counts[0] + [first] * counts[1]
    things = zip(scene.things, colours, strict=True)
    return replace(scene, things=tuple(replace(thing, colour=colour) for thing, colour in things))


CHANGES: dict[str, Callable[[Scene], Scene]] = {
    "opposite relation": opposite,
    "other axis": on_the_other_axis,
    "colours exchanged": colours_exchanged,
}


if __name__ == "__main__":
    main()
