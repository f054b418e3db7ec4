"""The rule by which `objects.py` lists OpenMoji's drawings; run as a module, it prints the list.

candidates    no people, no flags; a name of one or two words that CLIP's vocabulary holds whole
              (without a colour in front: "red apple" is an apple), and that takes an article
drawing       fills make half of the silhouette, and 0.22 of the square around it
order         the most common names first: by the sum of the words' places in the vocabulary, which
              is sorted by frequency
kept          if 1 - IoU of its silhouette with each one kept before, at 24 x 24, is at least 0.25;
              then, in a second pass, those of at least 0.15

So the first N kinds are common things that differ in shape, and the first 24 of 48 are the 24.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from textdiff.data.config import DataConfig
from textdiff.data.openmoji_catalogue import catalogue
from textdiff.data.openmoji_render import VIEW_BOX
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.recolour import MEASURED, Drawing, layers, measure, rasterise

SIDE = 24
DISTANCES = (0.25, 0.15)
LEAST_FILLED, LEAST_AREA = 0.5, 0.22


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Faces, signs, buttons and pictograms.
SIGNS = _words(
    """
    face button sign symbol mark suit cross information warning plus minus divide infinity atom no
    passport customs baggage left registered copyright restroom elevator wireless vibration high
    radioactive motorway entry question transgender male female children reverse record play card
    chart trade hundred input bright dim muted antenna dizzy dashing anger collision joker memo om
    low thought speech trident
    """
)
# First words that say a state, a size or a number, as a caption may do itself.
STATES = _words(
    """
    open closed small medium large new full old long incoming broken beating growing sparkling
    glowing crying kissing weary fallen two love guide service pouring leafy steaming revolving
    mechanical fight performing building classical manual straight locked unlocked cooked hairy
    national desert baguette sports military motor passenger film
    """
)
# Last words that take no article, name a place, a view or a game, or are drawn in water or with
# letters.
UNCOUNTED = _words(
    """
    bacon badminton boat bowling bread brick broccoli butter camping candy cinema cityscape
    construction cooking coral cricket custard desert dna ferry fire fog foggy fondue fuji game
    garlic hockey hole hospital hotel ice lacrosse landslide litter mate metro mouth nib nose
    park pong popcorn rail railway rice root sake salt sari school ship shower shrimp soap
    softball spaghetti station stop store sunrise sunset sushi tennis thread tongue tube
    vegetable volleyball wave way wood yarn
    """
)


def choose_kinds() -> list[tuple[str, str]]:
    """(code points as OpenMoji's file is named, name) of each kind, in order. Takes a minute."""
    drawings: list[tuple[str, str, NDArray[np.float32]]] = []
    for _, code, name, svg in tqdm(sorted(_candidates()), desc="measuring drawings", disable=None):
        try:
            drawing = measure(svg.read_text("utf-8"))
        except ValueError:  # no fills
            continue
        shape = silhouette(drawing)
        share = filled(drawing)
        if share >= LEAST_FILLED and share * shape.mean() >= LEAST_AREA:
            drawings.append((code, name, shape))
    kept: list[int] = []
    for least in DISTANCES:
        for row, (_, _, shape) in enumerate(drawings):
            if row in kept:
                continue
            if all(distance(shape, drawings[other][2]) >= least for other in kept):
                kept.append(row)
    return [drawings[row][:2] for row in kept]


def takes_article(words: Sequence[str]) -> bool:
    """Whether "a" or "an" can stand before the name of a thing, as far as the lists above know."""
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us"))
    return not (plural or SIGNS & set(words) or words[0] in STATES or words[-1] in UNCOUNTED)


def filled(drawing: Drawing) -> float:
    """Share of the silhouette that is no outline."""
    fills, lines = (rasterise(layers(drawing.svg, lines=x), MEASURED)[3] for x in (False, True))
    return float((fills * (1 - lines)).sum() / drawing.silhouette.sum())


def silhouette(drawing: Drawing) -> NDArray[np.float32]:
    """(SIDE, SIDE) opacity of the drawing in its square."""
    opacity = Image.fromarray(np.asarray(drawing.silhouette * 255, np.uint8))
    left, top, side = (value * MEASURED / VIEW_BOX for value in drawing.box)
    box = round(left), round(top), round(left + side), round(top + side)
    small = opacity.crop(box).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """1 - intersection over union, in [0, 1]."""
    return 1 - float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def _candidates() -> Iterator[tuple[int, str, str, Path]]:
    """(sum of places in the vocabulary, code points, name, file), each name once."""
    from open_clip.tokenizer import SimpleTokenizer

    places: dict[str, int] = SimpleTokenizer().encoder
    entries, svgs = catalogue(DataConfig(subset="things"))
    seen: set[str] = set()
    for entry, svg in zip(entries, svgs, strict=True):
        words = entry.captions[0].split()
        if len(words) > 1 and words[0] in COLOURS:
            words = words[1:]
        name = " ".join(words)
        ends = [f"{word}</w>" for word in words]
        fits = len(words) <= 2 and re.fullmatch("[a-z ]+", name) and all(e in places for e in ends)
        if fits and takes_article(words) and name not in seen:
            seen.add(name)
            yield sum(places[end] for end in ends), svg.stem, name, svg


if __name__ == "__main__":
    listed = ", ".join(f"{code} {name}" for code, name in choose_kinds())
    print("\n".join(textwrap.wrap(listed, 96, break_on_hyphens=False)))
