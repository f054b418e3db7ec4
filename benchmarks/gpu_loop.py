"""The whole training loop of the GPU benchmark, loader on: images per second, and who waits.

PNGs with captions in a folder ── open_data, loader ──► Trainer, DiffusionTask       (ours)
                               └─ torchvision, DataLoader ──► DiffusersLoop, tuned   (theirs)
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from gpu_workers import Bench

from textdiff.clip import ClipModel
from textdiff.clip.config import ClipConfig
from textdiff.data import DataConfig, open_data
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline import ModelConfig, TextToImage
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.config import TrainConfig
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.run_folder import RunFolder
from textdiff.training.tasks.diffusion import DiffusionTask

COLOURS = ("red", "green", "blue", "white", "black", "yellow", "pink", "grey")
THINGS = ("circle", "square", "star", "heart", "cross", "arrow", "moon", "cloud")
TEXT = {"context_length": 16, "width": 256, "heads": 4, "layers": 2}


def write_pictures(folder: Path, count: int, size: int) -> None:
    """Random but smooth, so that PNG compresses them as it does drawings."""
    from PIL import Image

    rng = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(count):
        coarse = torch.randint(0, 256, (8, 8, 3), generator=rng, dtype=torch.uint8)
        picture = Image.fromarray(coarse.numpy()).resize((size, size))
        picture.save(folder / f"{k:05d}.png")
        text = f"{COLOURS[k % len(COLOURS)]} {THINGS[k // len(COLOURS) % len(THINGS)]} {k}"
        rows.append(json.dumps({"file_name": f"{k:05d}.png", "text": text}))
    (folder / "metadata.jsonl").write_text("\n".join(rows) + "\n")


class Enough(Exception):  # noqa: N818 no error
    """As many steps as were asked for."""


@dataclass(frozen=True)
class Speed:
    """median, low, high: images per second, by step, and its quartiles. mean: of all the time.
    loader, draws: shares of the time that the process that trains gave to each."""

    median: float
    low: float
    high: float
    mean: float
    loader: float
    draws: float


@dataclass
class Clock:
    """ends: of each step. loader, draws: seconds that each took the process that trains, beside
    the GPU's work or not."""

    steps: int
    ends: list[float] = field(default_factory=list)
    loader: list[float] = field(default_factory=list)
    draws: list[float] = field(default_factory=list)

    def step(self) -> None:
        self.ends.append(time.perf_counter())
        if len(self.ends) >= self.steps:
            raise Enough

    def speed(self, batch: int) -> Speed:
        """Of the second half of the steps."""
        half = len(self.ends) // 2
        took = [b - a for a, b in zip(self.ends[half:], self.ends[half + 1 :], strict=False)]
        total = sum(took)
        share = {
            name: sum(waits[half + 1 : half + 1 + len(took)]) / total
            for name, waits in (("loader", self.loader), ("draws", self.draws))
        }
        speeds = [batch / seconds for seconds in took]
        low, middle, high = statistics.quantiles(speeds, n=4, method="inclusive")
        return Speed(middle, low, high, batch * len(took) / total, **share)


class Watched(Trainer):
    clock: Clock

    def _batches(self):
        batches = super()._batches()
        while True:
            start = time.perf_counter()
            batch = next(batches)
            self.clock.loader.append(time.perf_counter() - start)
            yield batch


def our_loop(
    data, clip: ClipModel, config: UNetConfig, *, batch: int, steps: int, workers: int
) -> Speed:
    clock = Clock(steps)

    class Timed(DiffusionTask):
        def prepare(self, *given):
            start = time.perf_counter()
            super().prepare(*given)
            clock.draws.append(time.perf_counter() - start)

        def after_update(self) -> None:
            super().after_update()
            clock.step()

    accelerator = accelerator_for("bf16")
    pipe = TextToImage(UNet(config), clip, ModelConfig(clip="fresh", unet=config))
    pipe.to(accelerator.device)
    embed = CaptionEmbeddings(clip, data.all_captions)
    train = TrainConfig(
        batch_size=batch,
        workers=workers,
        steps=10**9,
        eval_every=10**9,
        checkpoint_every=10**9,
        tensorboard=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Watched(
            task=Timed(pipe=pipe, embed=embed, seed=0, caption_drop=0.1),
            data=data,
            config=train,
            accelerator=accelerator,
            run=RunFolder(folder),
            seed=0,
            ema_decay=0.9999,
            fixed={},
        )
        trainer.clock = clock
        with suppress(Enough):
            trainer.train()
    return clock.speed(batch)


def their_loop(data, clip: ClipModel, config: UNetConfig, *, batch: int, steps: int) -> Speed:
    from diffusers_loop import DiffusersLoop, LoopSettings

    settings = LoopSettings(tuned=True, precision="bf16", batch_size=batch, caption_drop=0.1)
    loop, clock = DiffusersLoop(data, clip, config, settings), Clock(steps)
    endless = loop._batches

    def watched():
        while True:
            start = time.perf_counter()
            following = next(endless)
            clock.loader.append(time.perf_counter() - start)
            yield following

    loop._batches = watched()
    with suppress(Enough):
        loop.train(10**9, clock.step)
    return clock.speed(batch)


THEIRS = "diffusers, tuned"


def loop_rows(workers: Sequence[int]) -> tuple[str, ...]:
    return (*(f"textdiff, {count} workers" for count in workers), THEIRS)


def loops(
    device: str,
    config: UNetConfig,
    pictures: int,
    batch: int,
    steps: int,
    workers: Sequence[int],
) -> Bench:
    """Each run is a whole loop, and returns its Speed."""
    folder = Path(tempfile.mkdtemp()) / "pictures"
    write_pictures(folder, pictures, config.image_size)
    data = open_data(DataConfig(source=str(folder), image_size=config.image_size), "train")

    def clip() -> ClipModel:
        chosen = ClipConfig.model_validate({"text": TEXT})
        return ClipModel.build(chosen, seed=0).freeze().to(device)

    def ours(count: int) -> Speed:
        given = {"batch": batch, "steps": steps}
        return our_loop(data, clip(), config, **given, workers=count)

    def theirs() -> Speed:
        return their_loop(data, clip(), config, batch=batch, steps=steps)

    runs = [*(partial(ours, count) for count in workers), theirs]
    return Bench(dict(zip(loop_rows(workers), runs, strict=True)))
