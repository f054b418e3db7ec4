"""How fast the source `scenes` draws: facts, things rasterised once, pictures composited.

    python benchmarks/scenes.py --levels pairs scenes --image-size 32 --json out/scenes.json

facts         drawing what is in a scene, and its captions
sprites       recolouring and rasterising the things at the sizes in use, once per set
compositing   a picture from its sprites
in all        an empty cache to pictures on disk, scenes per second

Times are CPU seconds of one process on one core, so that what runs beside it counts little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar, get_args

from protocol import protocol

from textdiff.data.config import DataConfig, Level
from textdiff.data.open import open_data
from textdiff.data.scenes.draw import WITH_BACKGROUND, Drawer
from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.render import render
from textdiff.data.scenes.source import combinations_of, numbers
from textdiff.data.scenes.sprites import Sprites
from textdiff.data.scenes.wording import captions
from textdiff.evaluation.results import write_result

T = TypeVar("T")


@dataclass(frozen=True)
class Speed:
    """Milliseconds per scene but for `sprites`: seconds in all, of so many sprites."""

    scenes: int
    facts: float
    sprites: float
    num_sprites: int
    compositing: float
    scenes_per_second: float


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    levels = get_args(Level)
    parser.add_argument("--levels", nargs="+", choices=levels, default=["pairs", "scenes"])
    parser.add_argument("--scenes", type=int, default=4096)
    parser.add_argument("--objects", type=int, default=24)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print("| level | scenes | facts, ms | sprites, s | compositing, ms | scenes per second |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    speeds: dict[str, Speed] = {}
    for level in options.levels:
        speed = measure(level, options.scenes, options.objects, options.image_size)
        speeds[level] = speed
        print(
            f"| {level} | {speed.scenes:,} | {speed.facts:.3f} | {speed.sprites:.2f} "
            f"({speed.num_sprites:,}) | {speed.compositing:.3f} | {speed.scenes_per_second:,.0f} |"
        )
    if options.json:
        results = {level: asdict(speed) for level, speed in speeds.items()}
        write_result(options.json, {"protocol": protocol(options, "cpu"), "speeds": results})


def measure(level: Level, scenes: int, objects: int, image_size: int) -> Speed:
    config = DataConfig(
        source="scenes", level=level, scenes=scenes, objects=objects, image_size=image_size
    )
    combinations = combinations_of(config)
    counts = numbers(config, combinations)
    drawer = Drawer(level, config.seed, combinations)

    places = [(split, index) for split, count in counts.items() for index in range(count)]

    def draw() -> list[Scene]:
        scenes = [drawer.scene(split, index) for split, index in places]
        for scene in scenes:
            captions(scene, level in WITH_BACKGROUND)
        return scenes

    facts, every = timed(draw)
    sprites = Sprites(image_size)
    first, _ = timed(lambda: [render(scene, sprites) for scene in every])
    again, _ = timed(lambda: [render(scene, sprites) for scene in every])
    with tempfile.TemporaryDirectory() as folder:
        cached = config.model_copy(update={"cache_dir": folder})
        whole, _ = timed(lambda: open_data(cached))
    return Speed(
        scenes=len(every),
        facts=1e3 * facts / len(every),
        sprites=first - again,
        num_sprites=len(sprites),
        compositing=1e3 * again / len(every),
        scenes_per_second=len(every) / whole,
    )


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds, and what came of it."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
