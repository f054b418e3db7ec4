"""How exactly scenes are read back from pictures, as they are and spoilt, and how fast.

    python benchmarks/composition.py --levels pairs scenes --image-size 64 --json out/read.json

noisy         normal noise of standard deviation 0.1 on every value (of the range from 0 to 1)
blurred       by a Gaussian of one pixel of 32
shifted       by half a pixel of 32, both ways
flat          contrast around the middle grey times 0.8
tinted        smooth fields of colour, 6 x 6 values of standard deviation 0.1
drawn badly   shifted, 4% too large, blurred by 0.6 pixels of 32, tinted

Scenes are those of the test split. Times are CPU seconds of one process on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import torch
import torch.nn.functional as F
from protocol import protocol
from torch import Tensor

from textdiff.data import open_data
from textdiff.data.config import DataConfig, Level
from textdiff.evaluation.composition.reading import reader_for
from textdiff.evaluation.results import write_numbers
from textdiff.metrics.composition.agreement import ASPECTS, agreement
from textdiff.randomness import Stream


@dataclass(frozen=True)
class Rates:
    """Shares of right pictures by aspect, of those that it applies to; pictures read per second."""

    pictures: int
    right: dict[str, float]
    per_second: float


def noisy(pixels: Tensor) -> Tensor:
    return pixels + 0.1 * Stream("noise").normal(*pixels.shape)


def blurred(pixels: Tensor, sigma: float = 1.0) -> Tensor:
    sigma *= pixels.shape[-1] / 32
    reach = round(3 * sigma) + 1
    kernel = torch.softmax(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2), dim=0)
    padded = F.pad(pixels, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(3, 1, 1, -1), groups=3)
    return F.conv2d(across, kernel.view(1, 1, -1, 1).expand(3, 1, -1, 1), groups=3)


def shifted(pixels: Tensor, scale: float = 1.0) -> Tensor:
    moved = torch.tensor([[1 / scale, 0, 1 / 32], [0, 1 / scale, 1 / 32]])
    grid = F.affine_grid(moved.expand(len(pixels), -1, -1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def flat(pixels: Tensor) -> Tensor:
    return 0.5 + 0.8 * (pixels - 0.5)


def tinted(pixels: Tensor) -> Tensor:
    fields = Stream("tint").normal(len(pixels), 3, 6, 6)
    return pixels + 0.1 * F.interpolate(fields, pixels.shape[-2:], mode="bicubic")


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "as they are": lambda pixels: pixels,
    "noisy": noisy,
    "blurred": blurred,
    "shifted": shifted,
    "flat": flat,
    "tinted": tinted,
    "drawn badly": lambda pixels: tinted(blurred(shifted(pixels, 1.04), 0.6)),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    levels = get_args(Level)
    parser.add_argument("--levels", nargs="+", choices=levels, default=["pairs", "scenes"])
    parser.add_argument("--objects", type=int, default=24)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print(f"| level | pictures | {' | '.join(ASPECTS)} | per second |")
    print(f"| --- | --- | {'---: | ' * len(ASPECTS)}---: |")
    results: dict[str, dict[str, object]] = {}
    for level in options.levels:
        rates = measure(level, options.objects, options.image_size, options.pictures)
        for way, each in rates.items():
            cells = [f"{each.right[a]:.1%}" if a in each.right else "" for a in ASPECTS]
            print(f"| {level} | {way} | {' | '.join(cells)} | {each.per_second:.0f} |", flush=True)
        results[level] = {way: asdict(each) for way, each in rates.items()}
    if options.json:
        write_numbers(options.json, {"protocol": protocol(options, "cpu"), "rates": results})


def measure(level: Level, objects: int, image_size: int, pictures: int) -> dict[str, Rates]:
    """By what was done to the pictures."""
    scenes = max(4096, 11 * objects)
    config = DataConfig(
        source="scenes", level=level, objects=objects, scenes=scenes, image_size=image_size
    )
    reader, data = reader_for(open_data(config)), open_data(config, "test")
    count = min(pictures, len(data))
    pixels, asked = data.images(range(count)).float() / 255, (data.scenes or [])[:count]
    reader.read(data.images(range(count)))  # templates are made at first use
    rates = {}
    for way, change in WAYS.items():
        images = (255 * change(pixels)).round().clamp(0, 255).byte()
        start = time.process_time()
        readings = reader.read(images)
        seconds = time.process_time() - start
        found = [agreement(*pair) for pair in zip(readings, asked, strict=True)]
        values = {name: [getattr(each, name) for each in found] for name in ASPECTS}
        kept = {name: [v for v in each if v is not None] for name, each in values.items()}
        right = {name: sum(each) / len(each) for name, each in kept.items() if each}
        rates[way] = Rates(count, right, count / seconds)
    return rates


if __name__ == "__main__":
    main()
