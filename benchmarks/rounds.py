"""Times of several ways to do the same, taken in turn; ratios are of the same round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

Draw = Callable[[], Tensor]  # pictures (B, C, H, W) uint8 on the CPU, so that a GPU has finished


def in_turn(
    draws: dict[str, Draw], rounds: int
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Pictures of each, and its seconds per picture, round by round."""
    pictures = {name: draw() for name, draw in draws.items()}  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in draws}
    for _ in range(rounds):
        for name, draw in draws.items():
            start = time.perf_counter()
            draw()
            seconds[name].append((time.perf_counter() - start) / len(pictures[name]))
    return pictures, seconds


def seconds_of(work: Callable[[], object], device: str) -> float:
    """From a GPU that has nothing to do to one that has finished."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles of what was measured; two values or more."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    return spread([x / y for x, y in zip(above, below, strict=True)])


def rmse(pictures: Tensor, others: Tensor) -> float:
    """In grey levels of 255."""
    return (pictures.double() - others.double()).square().mean().sqrt().item()


def compared(draws: dict[str, Draw], rounds: int, divided_by: str, share: int) -> list[dict]:
    """A row per draw: milliseconds per picture and `share` of it, the time of `divided_by`
    divided by its own, and RMSE to the pictures of `divided_by`."""
    pictures, seconds = in_turn(draws, rounds)
    return [
        {
            "name": name,
            "ms": spread([1e3 * value / share for value in values]),
            "ratio": ratio(seconds[divided_by], values),
            "rmse": rmse(pictures[name], pictures[divided_by]),
        }
        for name, values in seconds.items()
    ]


def shown(value: dict[str, float], digits: int) -> str:
    return "{median:.{n}f} ({low:.{n}f} to {high:.{n}f})".format(**value, n=digits)


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    """Prints it as Markdown."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print(f"| {' | '.join(row)} |")
