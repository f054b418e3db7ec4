"""What each optimisation of the training step gains: ours beside ours without it, in turn.

    python benchmarks/training_gains.py --repeats 5 --json out/training_gains.json

The step and its settings are those of `training_step.py`, on a CPU: the forms of attention and
upsampling that are compared are a CPU's. One thing at a time is left out; the gain is the time
without it over the time with all, round by round. That glibc keeps freed memory, which holds for a
whole process, is on for all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import plain_unet
import torch
from protocol import protocol
from rounds import ratio, seconds_of, shown, spread, table
from torch.nn.functional import scaled_dot_product_attention
from training_step import Inputs, their_network, training_step

from textdiff.evaluation.results import write_numbers
from textdiff.interop import unet_from_diffusers
from textdiff.models import attention, blocks
from textdiff.models.upsample import upsample_conv_plain
from textdiff.training.allocator import keep_freed_memory
from textdiff.training.ema import EMA
from textdiff.training.precision import choose_precision

Step = Callable[[], None]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--precision", choices=["auto", "no", "bf16"], default="auto")
    plain_unet.add_arguments(parser)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5, help="rounds, 2 or more")
    parser.add_argument("--json", default=None)
    parser.set_defaults(device="cpu")
    return parser.parse_args(argv)


@contextmanager
def replaced(where: object, name: str, other: object) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, other)
    try:
        yield
    finally:
        setattr(where, name, before)


ADAMW = torch.optim.AdamW


def unfused(groups: list, fused: bool, **settings) -> torch.optim.AdamW:
    return ADAMW(groups, **settings)


@torch.no_grad()
def parameter_by_parameter(self: EMA) -> None:
    decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
    for name, parameter in self.parameters.items():
        self.averages[name].lerp_(parameter, 1 - decay)
    self.updates += 1


SLOWER = {
    "attention by matrix products": (attention, "attend", scaled_dot_product_attention),
    "folded upsampling": (blocks, "upsample_conv", upsample_conv_plain),
    "fused AdamW": (torch.optim, "AdamW", unfused),
    "EMA with foreach": (EMA, "update", parameter_by_parameter),
}


def steps(options: argparse.Namespace) -> dict[str, Step]:
    """The step with everything, and without each thing; each of a network of its own."""
    precision = choose_precision(options.precision, "cpu")
    inputs, weights = Inputs(options), their_network(options)

    def fresh(used: str) -> Step:
        network = unet_from_diffusers(weights)
        return training_step("ours", network, inputs, used)

    found = {"all": fresh(precision)}
    if precision != "no":
        found[f"without {precision}"] = fresh("no")
    for name, slower in SLOWER.items():
        with replaced(*slower):  # the optimizer is built here
            inner = fresh(precision)

        def step(inner: Step = inner, slower: tuple = slower) -> None:
            with replaced(*slower):
                inner()

        found[f"without {name}"] = step
    return found


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    keep_freed_memory()
    todo = steps(options)
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    for round_ in range(options.repeats + 1):  # the first warms up
        for name, step in todo.items():
            elapsed = seconds_of(step, "cpu")
            if round_:
                seconds[name].append(elapsed)
    results = {
        name: {"seconds": spread(values), "gain": ratio(values, seconds["all"])}
        for name, values in seconds.items()
    }
    rows = [[name, shown(r["seconds"], 3), shown(r["gain"], 3)] for name, r in results.items()]
    table("A training step of ours", ["", "seconds", "times all"], rows)
    write_numbers(options.json, {"protocol": protocol(options), "results": results})


if __name__ == "__main__":
    main()
