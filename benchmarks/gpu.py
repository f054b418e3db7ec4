"""All that a GPU can say about speed, in under eight minutes: ours beside diffusers and open_clip.

    bash benchmarks/gpu.sh --out out/gpu           # on a GPU
    bash benchmarks/gpu.sh --smoke --out out/gpu   # tiny, on a CPU: does the script work?

training   a step, batches that fill about half the card and small ones (gpu_training.py)
sampling   20 DDIM steps with guidance (gpu_sampling.py)
guidance   a noised CLIP beside classifier-free guidance alone (gpu_sampling.py)
loss       the contrastive loss (gpu_loss.py)
loop       images per second of the whole training loop (gpu_loop.py)

Every variant is prepared in a process of its own, all at once, as compiling takes the longest; then
they are timed one after the other, in rounds: medians and quartiles, ratios to diffusers' fastest
round by round. A section that fails says so, and one for which no time is left is skipped. Tables
are Markdown; all numbers are in results.json under --out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gpu_loop
import gpu_loss
import gpu_sampling
import gpu_training
import torch
from gpu_training import Case
from gpu_workers import Failed, Pool, few_compile_threads, told
from protocol import protocol
from rounds import ratio, spread, table

from textdiff.evaluation.protocol import versions
from textdiff.evaluation.results import write_numbers
from textdiff.models import UNetConfig
from textdiff.precision import matmul_seconds

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, by the makers' data sheets
GOAL = 1.5
SHARE = 0.4  # of the card for a large batch: other variants' weights need room, and the allocator
SMALL = UNetConfig()
LARGE = UNetConfig(image_size=64, block_channels=(128, 256, 512), head_dim=64)
TINY = UNetConfig(
    image_size=16,
    block_channels=(8, 16),
    layers_per_block=1,
    attention=(False, True),
    head_dim=8,
    norm_groups=4,
)
SECTIONS = ("training", "sampling", "guidance", "loss", "loop")


@dataclass(frozen=True)
class Sizes:
    """cases: name, U-Net, batch (0: fills half the card) and small batch of each.
    compile_until: seconds from the start after which what is not compiled is given up."""

    cases: tuple[tuple[str, UNetConfig, int, int], ...] = (
        ("16M, 32x32", SMALL, 0, 64),
        ("100M, 64x64", LARGE, 0, 64),
    )
    unet: UNetConfig = SMALL
    batches: tuple[int, ...] = (16, 256)
    steps: int = 20
    rounds: int = 5
    rows: int = 32_768
    dim: int = 512
    tiles: tuple[int, ...] = (512, 2048, 8192)
    loop: UNetConfig = field(default_factory=lambda: SMALL.model_copy(update={"image_size": 64}))
    pictures: int = 2000
    loop_batch: int = 256
    loop_steps: int = 40
    workers: tuple[int, ...] = (0, 8)
    turn: float = 0.5  # seconds
    compile_until: float = 200.0
    total: float = 420.0


SMOKE = Sizes(
    cases=(("tiny, 16x16", TINY, 4, 2),),
    unet=TINY,
    batches=(2,),
    steps=2,
    rounds=2,
    rows=64,
    dim=16,
    tiles=(32,),
    loop=TINY,
    pictures=40,
    loop_batch=4,
    loop_steps=6,
    workers=(0,),
    turn=0.0,
    total=120.0,
)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--minutes", type=float, help="in all; none: 7")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on the CPU if need be")
    return parser.parse_args(argv)


class Run:
    """One run of the script: what it is given, what it found so far, how much time is left."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.start = time.monotonic()
        self.options = options
        self.sizes = SMOKE if options.smoke else Sizes()
        self.total = 60 * options.minutes if options.minutes else self.sizes.total
        self.device = "cuda" if torch.cuda.is_available() and not options.smoke else "cpu"
        self.backend = "eager" if options.smoke else "inductor"
        self.pool = Pool(self.device)
        self.results: dict[str, Any] = {}
        self.cases: list[Case] = []
        self.flops: dict[str, float] = {}
        self.workers: dict[str, list[str]] = {}
        self.peak, self.peak_is = 0.0, ""

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def at(self, seconds: float) -> float:
        """The clock's time `seconds` after the start, but no later than the end."""
        return self.start + min(seconds, self.total)

    def say(self, message: str) -> None:
        print(f"[{self.elapsed:.0f} s] {message}", flush=True)

    def keep(self, section: str, found: Any) -> None:
        """Written at once, so that what was found is kept whatever happens next."""
        self.results[section] = found
        write_numbers(self.options.out / "results.json", self.results)

    def in_turn(
        self, section: str, until: float, runs: Callable[[str], bool] = lambda run: True
    ) -> dict[str, dict[str, Any]]:
        return self.pool.in_turn(
            self.workers[section],
            runs,
            rounds=self.sizes.rounds,
            seconds=self.sizes.turn,
            ready_until=self.at(self.sizes.compile_until),
            until=self.at(until),
        )


# Before anything is timed


def describe(run: Run) -> None:
    """What it runs on."""
    about = {**protocol(run.options, run.device), **versions()}
    about |= {"torch": torch.__version__, "cuda": str(torch.version.cuda)}
    about["cores"] = str(os.cpu_count())
    if run.device == "cuda":
        asked = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total",
            "--format=csv,noheader",
        ]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        about["card"] = said or torch.cuda.get_device_name()
        about["cudnn"] = str(torch.backends.cudnn.version())
        import triton

        about["triton"] = triton.__version__
    name = about.get("card", "")
    size = 8192 if run.device == "cuda" else 512
    measured = 2 * size**3 / matmul_seconds(torch.bfloat16, run.device, size)
    known = [peak for card, peak in PEAKS.items() if card in name]
    run.peak, run.peak_is = (known[0], "data sheet") if known else (measured, "measured product")
    about["bf16 matrix product"] = f"{measured / 1e12:.1f} TFLOP/s of {size} x {size}, measured"
    about["bf16 peak"] = f"{run.peak / 1e12:.1f} TFLOP/s, {run.peak_is}"
    print("# GPU benchmark\n")
    for key, value in about.items():
        print(f"- {key}: {value}")
    run.keep("about", about)


def begin(run: Run) -> None:
    """Sizes the batches and starts every process, so that they compile beside each other."""
    sizes, asked = run.sizes, run.options.sections
    if "training" in asked:
        for name, config, batch, small in sizes.cases:
            case = Case(name, config, batch, small, run.device, run.backend)
            if not batch:
                case = replace(case, batch=gpu_training.batch_for(case, SHARE))
            run.cases.append(case)
            run.flops[name] = gpu_training.flops_per_image(case)
            difference = gpu_training.largest_difference(case)
            run.say(
                f"{name}: batch {case.batch}, {run.flops[name] / 1e9:.1f} GFLOP per image, "
                f"outputs in fp32 differ by {difference:.1e}"
            )
    few_compile_threads(4 * len(run.cases) + 3)
    for case in run.cases:
        run.workers[case.name] = gpu_training.start(run.pool, case)
    given = (sizes.unet, run.device)
    if "sampling" in asked:
        batches = list(sizes.batches)
        run.workers["sampling"] = gpu_sampling.start(
            run.pool, *given, batches, sizes.steps, run.backend
        )
    if "guidance" in asked:
        run.workers["guidance"] = ["guidance"]
        run.pool.start(
            "guidance",
            gpu_sampling.guidance,
            config=sizes.unet,
            device=run.device,
            batch=sizes.batches[0],
            steps=sizes.steps,
        )
    if run.device == "cuda":
        torch.cuda.empty_cache()
    run.say(f"started {len(run.pool.workers)} processes")
    for worker in run.pool.workers.values():
        worker.wait(run.at(sizes.compile_until))
    late = [name for name, worker in run.pool.workers.items() if worker.gone]
    run.say(f"all are ready{f' but {len(late)}: ' + ', '.join(late) if late else ''}")


# Sections


def training(run: Run) -> None:
    for case in run.cases:
        for batch, until in ((case.batch, 290), (case.small, 310)):
            found = run.in_turn(case.name, until, lambda name, b=batch: f"batch {b}:" in name)
            show_training(run, case, batch, found)
            run.keep(f"training, {case.name}, batch {batch}", found)
        run.pool.stop(f"train {case.name}")


def show_training(run: Run, case: Case, batch: int, found: dict[str, dict[str, Any]]) -> None:
    flops, rows = run.flops[case.name], []
    best = fastest(found, "diffusers")
    for name, result in found.items():
        short = name.partition(": ")[2] or name
        if "error" in result:
            rows.append([short, result["error"], *[""] * 4])
            continue
        speed = [batch / seconds for seconds in result["seconds"]]
        rows.append(
            [
                short,
                within(result["seconds"], 1e3, 1),
                within(speed, 1, 0),
                f"{statistics.median(speed) * flops / run.peak:.1%}",
                f"{result['gib']:.1f}",
                times(found, best, name),
            ]
        )
    title = f"## Training step, {case.name}, batch {batch}, bf16"
    head = ["", "ms per step", "images/s", "of bf16 peak", "GiB"]
    table(title, [*head, f"times as fast as {short_of(best)}"], rows)
    verdict(found, best)


def sampling(run: Run) -> None:
    for batch in run.sizes.batches:
        found = run.in_turn("sampling", 350, lambda name, b=batch: name.startswith(f"batch {b}:"))
        best = fastest(found, "diffusers")
        rows = []
        for name, result in found.items():
            short = name.partition(": ")[2] or name
            if "error" in result:
                rows.append([short, result["error"], "", "", ""])
                continue
            each = [batch / seconds for seconds in result["seconds"]]
            row = [short, within(result["seconds"], 1e3, 1), within(each, 1, 1)]
            rows.append([*row, f"{result['gib']:.1f}", times(found, best, name)])
        title = f"## {run.sizes.steps} DDIM steps with guidance, batch {batch}, bf16"
        head = ["", "ms in all", "pictures/s", "GiB", f"times as fast as {short_of(best)}"]
        table(title, head, rows)
        verdict(found, best)
        run.keep(f"sampling, batch {batch}", found)
    run.pool.stop("draw")


def guidance(run: Run) -> None:
    found = run.in_turn("guidance", 365)
    rows = []
    for name, result in found.items():
        if "error" in result:
            rows.append([name, result["error"], ""])
            continue
        alone = f"cfg, {name.rsplit(', ', 1)[1]}"
        rows.append([name, within(result["seconds"], 1e3, 1), cost(found, name, alone)])
    title = f"## Guidance by a noised CLIP, {run.sizes.steps} steps, batch {run.sizes.batches[0]}"
    table(title, ["", "ms in all", "times cfg alone"], rows)
    run.keep("guidance", found)
    run.pool.stop("guidance")


def loss(run: Run) -> None:
    sizes = run.sizes
    run.pool.start(
        "loss",
        gpu_loss.losses,
        rows=sizes.rows,
        dim=sizes.dim,
        device=run.device,
        tiles=list(sizes.tiles),
    )
    run.workers["loss"] = ["loss"]
    found = run.pool.in_turn(
        ["loss"],
        lambda name: True,
        rounds=sizes.rounds,
        seconds=sizes.turn,
        ready_until=time.monotonic() + 40,
        until=run.at(385),
    )
    rows = [
        [name, result["error"], "", ""]
        if "error" in result
        else [
            name,
            within(result["seconds"], 1e3, 1),
            f"{result['gib']:.2f}",
            times(found, "open_clip", name),
        ]
        for name, result in found.items()
    ]
    title = f"## Contrastive loss, forward and backward, {sizes.rows} x {sizes.dim}, fp32"
    table(title, ["", "ms", "GiB", "times as fast as open_clip"], rows)
    run.keep("loss", found)
    run.pool.stop("loss")


def loop(run: Run) -> None:
    sizes = run.sizes
    run.pool.start(
        "loop",
        gpu_loop.loops,
        device=run.device,
        config=sizes.loop,
        pictures=sizes.pictures,
        batch=sizes.loop_batch,
        steps=sizes.loop_steps,
        workers=list(sizes.workers),
    )
    worker = run.pool.workers["loop"]
    worker.wait(time.monotonic() + 60)
    rows, found = [], {}
    for name in worker.runs:
        if run.elapsed > run.total:
            rows.append([name, "skipped: no time left"])
            continue
        result = worker.ask("once", name)
        if isinstance(result, Failed):
            rows.append([name, result.why])
            continue
        found[name] = result
        speed = result["images_per_second"]
        shown = f"{speed['median']:.0f} ({speed['low']:.0f} to {speed['high']:.0f})"
        shares = [f"{result[key]:.0%}" for key in ("loader", "draws")]
        rows.append([name, shown, f"{result['mean']:.0f}", *shares])
    if not worker.runs:
        rows.append(["loop", worker.gone or ""])
    side = sizes.loop.image_size
    title = f"## Whole loop, {sizes.pictures} PNGs of {side}x{side}, batch {sizes.loop_batch}, bf16"
    head = ["", "images/s, by step", "images/s in all", "loader, share of time", "noise, share"]
    table(title, head, [row + [""] * (len(head) - len(row)) for row in rows])
    run.keep("loop", found)
    run.pool.stop("loop")


# Numbers in tables


def within(values: list[float], factor: float, digits: int) -> str:
    """Median and quartiles."""
    found = spread([factor * value for value in values])
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def fastest(found: dict[str, dict[str, Any]], side: str) -> str | None:
    medians = {
        name: statistics.median(result["seconds"])
        for name, result in found.items()
        if result.get("seconds") and f": {side}," in f": {name.partition(': ')[2]}"
    }
    return min(medians, key=medians.__getitem__) if medians else None


def short_of(name: str | None) -> str:
    return name.partition(": ")[2] if name else "diffusers (none ran)"


def times(found: dict[str, dict[str, Any]], base: str | None, name: str) -> str:
    """How many times as fast as `base` it is, round by round."""
    if base is None or not found.get(base, {}).get("seconds"):
        return ""
    pairs = zip(found[base]["seconds"], found[name]["seconds"], strict=False)
    above, below = (list(each) for each in zip(*pairs, strict=True))
    value = ratio(above, below)
    return f"{value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def cost(found: dict[str, dict[str, Any]], name: str, alone: str) -> str:
    return times(found, name, alone) if "error" not in found.get(alone, {"error": ""}) else ""


def verdict(found: dict[str, dict[str, Any]], best: str | None) -> None:
    own = fastest(found, "ours")
    if own and best:
        print(f"\nOurs at its best ({short_of(own)}) is {times(found, best, own)} times as fast as "
              f"diffusers at its best ({short_of(best)}); the goal is {GOAL}.")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    run = Run(options)
    options.out.mkdir(parents=True, exist_ok=True)
    if run.device == "cpu" and not options.smoke:
        raise SystemExit("no GPU here; --smoke runs tiny sizes on a CPU")
    describe(run)
    sections: dict[str, Callable[[Run], None]] = {
        "training": training,
        "sampling": sampling,
        "guidance": guidance,
        "loss": loss,
        "loop": loop,
    }
    # tracing takes a CPU most of a minute, and says nothing of a GPU
    stance = "force_eager" if options.smoke else "default"
    with torch.compiler.set_stance(stance):
        measure(run, sections)
    run.say(f"done; all numbers: {options.out / 'results.json'}")


def measure(run: Run, sections: dict[str, Callable[[Run], None]]) -> None:
    try:
        begin(run)
        for name in run.options.sections:
            if run.elapsed > run.total:
                run.say(f"{name} skipped: {run.total / 60:.0f} minutes are over")
                continue
            try:
                run.say(name)
                sections[name](run)
            except Exception as error:
                run.say(f"{name} failed: {told(error)}")
                run.keep(f"{name} failed", told(error))
    finally:
        run.pool.stop()


if __name__ == "__main__":
    main()
