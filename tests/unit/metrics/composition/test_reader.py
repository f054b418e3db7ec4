"""Pictures whose scenes are known, as they are and spoilt; pictures that show nothing."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.data import DataConfig
from textdiff.data.scenes.draw import Drawer
from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.render import render
from textdiff.data.scenes.source import combinations_of
from textdiff.data.scenes.sprites import Sprites
from textdiff.metrics.composition.agreement import ASPECTS, agreement
from textdiff.metrics.composition.reader import Reading, SceneReader, vocabulary_of
from textdiff.randomness import Stream

FEW = 5  # kinds


@cache
def scenes(level: str, kinds: int, count: int) -> tuple[list[Scene], list[Scene]]:
    """Training scenes, and as many others of combinations that those lack."""
    config = DataConfig(source="scenes", level=level, objects=kinds, scenes=11 * kinds)
    drawer = Drawer(config.level, config.seed, combinations_of(config))
    trained = [drawer.scene("train", k) for k in range(2 * 11 * kinds)]
    return trained, [drawer.scene("test", k) for k in range(count)]


@cache
def sprites(size: int) -> Sprites:
    return Sprites(size)


@cache
def reader(level: str, size: int, kinds: int = FEW) -> SceneReader:
    return SceneReader(vocabulary_of(scenes(level, kinds, 1)[0]), sprites(size))


@cache
def pictures(level: str, size: int, kinds: int, count: int) -> Tensor:
    _, unseen = scenes(level, kinds, count)
    return torch.from_numpy(np.stack([render(scene, sprites(size)) for scene in unseen]))


def rates(readings: list[Reading], asked: list[Scene]) -> dict[str, float]:
    """Share of right ones, of those that an aspect applies to."""
    found = [agreement(read, scene) for read, scene in zip(readings, asked, strict=True)]
    values = {name: [getattr(each, name) for each in found] for name in ASPECTS}
    kept = {name: [v for v in each if v is not None] for name, each in values.items()}
    return {name: sum(each) / len(each) for name, each in kept.items() if each}


def spoilt(images: Tensor, how: str) -> Tensor:
    """What a model's pictures suffer from."""
    pixels, size = images.float() / 255, images.shape[-1]
    if how == "noisy":
        pixels = pixels + 0.1 * Stream("noise").normal(*pixels.shape)
    elif how == "blurred":  # by a Gaussian of a pixel of 32
        steps = torch.arange(-4, 5) * 32 / size
        kernel = torch.softmax(-steps.square() / 2, dim=0)
        for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
            padded = F.pad(
                pixels, [4 * (n != 1) for n in shape[::-1][:2] for _ in "ab"], "replicate"
            )
            pixels = F.conv2d(padded, kernel.view(*shape).expand(3, -1, -1, -1), groups=3)
    elif how == "shifted":  # by half a pixel of 32, down and to the right
        moved = torch.tensor([[1, 0, -1 / 32], [0, 1, -1 / 32]]).expand(len(images), -1, -1)
        grid = F.affine_grid(moved, list(images.shape), align_corners=False)
        pixels = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    elif how == "flat":  # of less contrast
        pixels = 0.5 + 0.8 * (pixels - 0.5)
    return (255 * pixels).round().clamp(0, 255).byte()


@pytest.mark.parametrize("level", ["pairs", "counts", "relations", "scenes"])
def test_scenes_are_read(level):
    _, asked = scenes(level, FEW, 40)
    found = rates(reader(level, 32).read(pictures(level, 32, FEW, 40)), asked)
    assert set(found.values()) == {1.0}
    assert ("relation" in found) == (level in ("relations", "scenes"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "size"), [("pairs", 32), ("scenes", 32), ("pairs", 64), ("relations", 64)]
)
def test_many_kinds_are_told_apart(level, size):
    _, asked = scenes(level, 24, 200)
    found = rates(reader(level, size, 24).read(pictures(level, size, 24, 200)), asked)
    assert min(found["object"], found["colour"], found["both"]) >= 0.99
    assert min(found["count"], found.get("relation", 1.0), found["background"]) >= 0.98


def test_places_and_sizes_are_read():
    _, asked = scenes("relations", FEW, 40)
    for read, scene in zip(
        reader("relations", 32).read(pictures("relations", 32, FEW, 40)), asked, strict=True
    ):
        by_kind = {(t.kind, t.colour): t for t in read.things}
        for thing in scene.things:
            there = by_kind[thing.kind, thing.colour]
            assert there.size == thing.size
            assert abs(there.x - thing.x) <= 1 / 32 and abs(there.y - thing.y) <= 1 / 32
        assert read.error < 0.01


def test_shuffled_captions_agree_by_chance():
    _, asked = scenes("pairs", FEW, 40)
    readings = reader("pairs", 32).read(pictures("pairs", 32, FEW, 40))
    apart = [(read, scene) for read in readings for scene in asked]
    found = rates([read for read, _ in apart], [scene for _, scene in apart])
    things = [scene.things[0] for scene in asked]
    for aspect, names in (
        ("object", [thing.kind for thing in things]),
        ("colour", [thing.colour for thing in things]),
        ("both", [(thing.kind, thing.colour) for thing in things]),
    ):
        chance = sum(count**2 for count in Counter(names).values()) / len(names) ** 2
        assert found[aspect] == pytest.approx(chance)


@pytest.mark.parametrize("size", [32, 64])
def test_nothing_is_read_in_pictures_of_nothing(size):
    shape = (1, 3, size, size)
    fields = F.interpolate(Stream("fields").uniform(8, 3, 5, 5).float(), (size, size))
    nothing = {
        "white": torch.ones(shape),
        "grey": torch.full(shape, 0.5),
        "black": torch.zeros(shape),
        "uniform noise": Stream("uniform").uniform(8, 3, size, size).float(),
        "normal noise": 0.5 + 0.5 * Stream("normal").normal(8, 3, size, size),
        "coloured blots": fields,
    }
    for name, pixels in nothing.items():
        images = (255 * pixels).round().clamp(0, 255).byte()
        for level in ("pairs", "scenes"):
            read = reader(level, size).read(images)
            assert all(each.things == () for each in read), (name, level)


@pytest.mark.parametrize("how", ["noisy", "blurred", "shifted", "flat"])
@pytest.mark.parametrize(("level", "least"), [("pairs", 1.0), ("scenes", 0.9)])
def test_spoilt_pictures_are_read_too(level, least, how):
    _, asked = scenes(level, FEW, 40)
    found = rates(reader(level, 32).read(spoilt(pictures(level, 32, FEW, 40), how)), asked)
    assert min(found["object"], found["count"]) >= least


def test_batches_give_what_single_pictures_give():
    images, read = pictures("scenes", 32, FEW, 40), reader("scenes", 32).read
    assert read(images[:6]) == [read(image[None])[0] for image in images[:6]]


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="64"):
        reader("pairs", 32).read(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
