"""Images per second of whole training loops: `textdiff train` and diffusers' script, in turn.

    python benchmarks/training_loop.py --windows 3 --steps 10 --json out/training_loop.json

textdiff           what `textdiff train` runs: Trainer and DiffusionTask on OpenMoji, precision auto
textdiff compiled  the same with --train.compile, which takes minutes before its first step
diffusers          `diffusers_loop.py` as the script's defaults have it
diffusers tuned    the same in bf16 (if a probe finds it faster), fused AdamW, foreach EMA, the
                   fastest attention

Same pictures, captions, frozen CLIP (fresh weights: they do not matter for speed), network and
batch. Each loop lives in a process of its own for the whole time and waits while another has its
turn: a turn is a window of steps, timed from its first to its last. The first window of each warms
up and is not counted. Printed: medians and ranges over windows, ratios window by window.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import plain_unet
import torch
from protocol import protocol

from textdiff.evaluation.results import write_numbers

OURS, THEIRS = ("textdiff", "textdiff compiled"), ("diffusers", "diffusers tuned")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--loops", nargs="+", choices=OURS + THEIRS, default=["textdiff", *THEIRS])
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="steps per window")
    parser.add_argument("--batch-size", type=int, default=32)
    plain_unet.add_arguments(parser)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--subset", default="all", choices=["all", "things", "nature"])
    parser.add_argument("--max-images", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


# In the process of a loop


class Turns:
    """Called after each step: reports a window's seconds at its end and waits for the next turn."""

    def __init__(self, parent: Connection, steps: int):
        self.parent, self.steps, self.done, self.start = parent, steps, 0, 0.0
        self.on_gpu = torch.cuda.is_available()

    def wait(self) -> None:
        try:
            goes_on = self.parent.recv()
        except EOFError:  # who gives the turns is gone
            goes_on = False
        if not goes_on:
            raise SystemExit
        self.start = time.perf_counter()

    def __call__(self) -> None:
        self.done += 1
        if self.done % self.steps == 0:
            if self.on_gpu:
                torch.cuda.synchronize()
            self.parent.send(time.perf_counter() - self.start)
            self.wait()


def run_loop(name: str, options: argparse.Namespace, parent: Connection) -> None:
    from textdiff.clip import ClipModel
    from textdiff.clip.config import ClipConfig
    from textdiff.config import build
    from textdiff.data import DataConfig, open_data

    chosen = {"subset": options.subset, "image_size": options.image_size}
    data = open_data(DataConfig(**chosen, max_images=options.max_images), "train")
    text = {"context_length": 24, "width": 128, "heads": 4, "layers": 2}
    tower = {"kind": "vit", "image_size": 32, "patch_size": 8, "width": 128, "heads": 4}
    sections = {"image": tower | {"layers": 3}, "text": text, "embed_dim": 128}
    clip = ClipModel.build(build(ClipConfig, [("clip", sections)]), seed=0).freeze()
    turns = Turns(parent, options.steps)
    loop = our_loop if name in OURS else their_loop
    start = loop(name, data, clip, options, turns)
    turns.wait()
    start()


def our_loop(name, data, clip, options: argparse.Namespace, turns: Turns) -> Callable[[], None]:
    from textdiff.models import UNet
    from textdiff.pipeline import ModelConfig, TextToImage
    from textdiff.training.captions import CaptionEmbeddings
    from textdiff.training.config import TrainConfig
    from textdiff.training.launch import accelerator_for
    from textdiff.training.loop import Trainer
    from textdiff.training.run_folder import RunFolder
    from textdiff.training.tasks.diffusion import DiffusionTask

    class InTurns(DiffusionTask):
        def after_update(self) -> None:
            super().after_update()
            turns()

    config = plain_unet.plain_unet(options, clip.text_width, data.image_size)
    accelerator = accelerator_for("auto")
    pipe = TextToImage(UNet(config), clip, ModelConfig(clip="fresh", unet=config))
    pipe.to(accelerator.device)
    embed = CaptionEmbeddings(clip, data.all_captions)
    task = InTurns(pipe=pipe, embed=embed, seed=0, caption_drop=0.1)
    never = 10**9
    train = TrainConfig(
        batch_size=options.batch_size,
        compile=name == "textdiff compiled",
        steps=never,
        eval_every=never,
        checkpoint_every=never,
    )
    run = RunFolder(tempfile.mkdtemp())
    trainer = Trainer(
        task=task,
        data=data,
        config=train,
        accelerator=accelerator,
        run=run,
        seed=0,
        ema_decay=0.9999,
        fixed={},
    )
    return trainer.train


def their_loop(name, data, clip, options: argparse.Namespace, turns: Turns) -> Callable[[], None]:
    from diffusers_loop import DiffusersLoop, LoopSettings

    tuned = name == "diffusers tuned"
    settings = LoopSettings(tuned=tuned, batch_size=options.batch_size, caption_drop=0.1)
    loop = DiffusersLoop(
        data, clip, plain_unet.plain_unet(options, clip.text_width, data.image_size), settings
    )
    return lambda: loop.train(10**9, turns)


# In the process that gives the turns


def start(name: str, options: argparse.Namespace) -> tuple[multiprocessing.Process, Connection]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=run_loop, args=(name, options, there), daemon=True)
    process.start()
    there.close()  # so that a process that dies ends the wait for it
    return process, here


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Images per second of each window."""
    loops = {name: start(name, options) for name in options.loops}
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for window in range(options.windows + 1):
        for name, (_, connection) in loops.items():
            connection.send(True)
            try:
                seconds = connection.recv()
            except EOFError:
                raise SystemExit(f"{name} failed; its traceback is above") from None
            if window:
                speeds[name].append(options.steps * options.batch_size / seconds)
    for process, connection in loops.values():
        connection.send(False)
        process.join()
    return speeds


def shown(values: list[float], digits: int) -> str:
    middle, *ends = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({'-'.join(ends)})"


def main() -> None:
    options = arguments()
    speeds = measure(options)
    ours = speeds[options.loops[0]]
    print(f"| loop | images per second | {options.loops[0]} is faster by |")
    print("| --- | ---: | ---: |")
    for name, values in speeds.items():
        ratios = [first / value for first, value in zip(ours, values, strict=True)]
        print(f"| {name} | {shown(values, 1)} | {shown(ratios, 2)} |")
    write_numbers(options.json, {"protocol": protocol(options), "speeds": speeds})


if __name__ == "__main__":
    main()
