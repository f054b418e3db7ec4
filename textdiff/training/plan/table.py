"""A plan as a user reads it."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.training.plan.devices import DevicePlan
from textdiff.training.plan.line import Estimate
from textdiff.training.plan.memory import Part
from textdiff.training.plan.plan import Plan


def lines_of(plan: Plan) -> list[str]:
    """What `textdiff plan` prints."""
    trained = "" if plan.trained == plan.parameters else f", of which {count(plan.trained)} trained"
    first, second = plan.measured
    passes = f" x {plan.accumulation} passes" if plan.accumulation > 1 else ""
    devices = f" on {plan.processes} devices" if plan.processes > 1 else ""
    lines = [
        f"textdiff {plan.task}: {plan.name} of {count(plan.parameters)} parameters{trained}",
        f"batch {plan.batch}{passes}{devices}, {count(plan.images)} pictures to train on; measured "
        f"at batch {first} and {second} in precision {plan.precision}",
    ]
    if plan.flops_per_image is not None:
        lines.append(f"{plan.flops_per_image / 1e9:.3g} GFLOP per picture of a training step")
    lines += [f"note: {note}" for note in plan.notes]
    one = plan.devices[0]  # all hold the same
    memory = f"memory at batch {plan.batch}: {plus_minus(one.needed, 1e9)} GB"
    disk = f"disk: {sum(part.bytes for part in plan.disk) / 1e9:.3g} GB"
    lines += ["", memory, *part_lines(one.parts), "", *device_lines(plan), ""]
    return [*lines, disk, *part_lines(plan.disk)]


def device_lines(plan: Plan) -> list[str]:
    """A table with a row for each device."""
    how = "measured" if plan.flops_per_image is None else "by FLOPs"
    header = ["", "GB", f"batch {plan.batch}", "largest batch", f"pictures/s, {how}"]
    rows = [[*header, f"days to {count(plan.images)}"]]
    for device in plan.devices:
        largest = "any" if device.largest_batch is None else str(device.largest_batch or "none")
        rows.append(
            [
                device.device,
                f"{device.capacity / 1e9:.3g}",
                fits(device),
                largest,
                "?" if device.speed is None else plus_minus(device.speed),
                "?" if device.days is None else plus_minus(device.days),
            ]
        )
    return aligned(rows)


def fits(device: DevicePlan) -> str:
    if device.needed.high <= device.capacity:
        return "fits"
    return "may not fit" if device.needed.low <= device.capacity else "does not fit"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns below each other, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def part_lines(parts: Sequence[Part]) -> list[str]:
    """In GB, the numbers below each other."""
    return [f"  {part.bytes / 1e9:8.3f}  {part.name}" for part in parts]


def plus_minus(estimate: Estimate, unit: float = 1.0) -> str:
    """Such as "3.14 +- 0.16"."""
    return f"{estimate.value / unit:.3g} +- {estimate.error / unit:.2g}"


def count(number: float) -> str:
    """Such as "16.2M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
