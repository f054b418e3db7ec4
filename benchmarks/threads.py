"""A training step beside other work: with one thread, with one per core, and with those chosen.

    python benchmarks/threads.py --rounds 9 --steps 15 --json out/threads.json

The quickstart's U-Net (or another recipe's) and batch, forward, backward, AdamW and moving average
on random pictures. Each round has two situations, alone and beside processes that compute without
end, and in each the counts of threads one after the other, so that what else the machine does meets
all of them alike. "chosen" is what `textdiff train` would choose just then, from 0.3 s of watching.
Printed: the median of each window of steps, as median and quartiles over the rounds; and how many
times as long as the chosen threads alone, round by round.

Let nothing else run: a program that nobody counted is one busy process more in both situations.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from protocol import protocol
from rounds import ratio, seconds_of, shown, spread, table

from textdiff.config import config_file, read_yaml
from textdiff.cores import measure_cores
from textdiff.evaluation.results import write_numbers
from textdiff.models import UNet, UNetConfig
from textdiff.precision import bf16_pays
from textdiff.threads import fitting_threads
from textdiff.training.allocator import keep_freed_memory
from textdiff.training.config import OptimizerConfig
from textdiff.training.ema import EMA
from textdiff.training.optimizer import build_optimizer
from textdiff.types import Conditioning

SIZE, TOKENS, WIDTH = 32, 16, 128  # of the quickstart's pictures, captions and CLIP
AIM = 1.6  # times as long beside one busy process, at most
BUSY = "print(flush=True)\nwhile True: pass"
ALONE, CHOSEN = "alone", "chosen"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recipe", default="quickstart", help="its U-Net and batch are taken")
    parser.add_argument("--rounds", type=int, default=9, help="2 or more")
    parser.add_argument("--steps", type=int, default=15, help="of each window")
    parser.add_argument("--busy", type=int, default=1, help="processes beside it")
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def training_step(recipe: str) -> Callable[[], None]:
    """One step of the recipe's U-Net on random inputs, in the precision that pays here."""
    settings = read_yaml(config_file(recipe))
    shape = {"image_size": SIZE, "cross_attention_dim": WIDTH, "pooled_dim": WIDTH}
    network = UNet(UNetConfig.model_validate(settings["unet"] | shape)).train()
    optimizer = build_optimizer(network, OptimizerConfig())
    average = EMA(network, 0.99)
    batch = settings["train"]["batch_size"]
    x_t, eps = torch.randn(2, batch, 3, SIZE, SIZE)
    timestep = torch.randint(1000, (batch,))
    text = Conditioning(
        torch.randn(batch, TOKENS, WIDTH),
        pooled=torch.randn(batch, WIDTH),
        mask=torch.ones(batch, TOKENS, dtype=torch.bool),
    )

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays("cpu")):
            output = network(x_t, timestep, text)
        optimizer.zero_grad(set_to_none=True)
        (output.float() - eps).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update()

    return step


@contextmanager
def beside(count: int) -> Iterator[None]:
    """So many processes that compute, from when all of them do."""
    command = [sys.executable, "-c", BUSY]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def window(step: Callable[[], None], threads: int, steps: int) -> float:
    """Median seconds of `steps` steps; one more comes first."""
    torch.set_num_threads(threads)
    return statistics.median([seconds_of(step, "cpu") for _ in range(steps + 1)][1:])


Seconds = dict[str, dict[str, list[float]]]  # by situation and threads, round by round


def measure(options: argparse.Namespace) -> tuple[Seconds, dict[str, list[int]]]:
    """Also how many threads were chosen."""
    step, cores = training_step(options.recipe), measure_cores(0.0).allowed
    situations = {ALONE: 0, f"beside {options.busy} busy": options.busy}
    names = list(dict.fromkeys(["1", str(cores), CHOSEN]))
    seconds: Seconds = {situation: {name: [] for name in names} for situation in situations}
    chosen: dict[str, list[int]] = {situation: [] for situation in situations}
    window(step, 1, 2)
    for _ in range(options.rounds):
        for situation, busy in situations.items():
            with beside(busy):
                number = fitting_threads(measure_cores())
                chosen[situation].append(number)
                for name in names:
                    threads = number if name == CHOSEN else int(name)
                    seconds[situation][name].append(window(step, threads, options.steps))
    return seconds, chosen


def main() -> None:
    options = arguments()
    keep_freed_memory()
    seconds, chosen = measure(options)
    base = seconds[ALONE][CHOSEN]
    ratios = {
        situation: {name: ratio(values, base) for name, values in by_name.items()}
        for situation, by_name in seconds.items()
    }
    rows = [
        [
            situation,
            f"{name} ({statistics.median(chosen[situation]):g})" if name == CHOSEN else name,
            shown(spread([1e3 * value for value in values]), 0),
            shown(ratios[situation][name], 2),
        ]
        for situation, by_name in seconds.items()
        for name, values in by_name.items()
    ]
    head = ["situation", "threads", "ms per step", "times the chosen alone"]
    table(f"a training step of {options.recipe}", head, rows)
    last = list(seconds)[-1]
    print(f"\n{last}, chosen threads: {shown(ratios[last][CHOSEN], 2)} times as long; aim {AIM}")
    numbers = {"seconds": seconds, "chosen": chosen, "ratios": ratios}
    write_numbers(options.json, {"protocol": protocol(options, "cpu"), **numbers})


if __name__ == "__main__":
    main()
