"""A plan as a user reads it."""

from __future__ import annotations

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
        f"batch {plan.batch}{passes}{devices}, {count(plan.images)} pictures to train on, measured "
        f"at batch {first} and {second} in precision {plan.precision}",
    ]
    if plan.flops_per_image is not None:
        lines.append(f"{plan.flops_per_image / 1e9:.3g} GFLOP per picture of a training step")
    lines += [f"note: {note}" for note in plan.notes]
    for device in plan.devices:
        lines += ["", *device_lines(device, plan)]
    lines += ["", "disk, GB", *part_lines(plan.disk)]
    return lines


def device_lines(device: DevicePlan, plan: Plan) -> list[str]:
    fits = "fits" if device.needed.high <= device.capacity else "may not fit"
    fits = "does not fit" if device.needed.low > device.capacity else fits
    lines = [
        f"{device.device}: batch {plan.batch} takes {plus_minus(device.needed, 1e9)} GB of "
        f"{device.capacity / 1e9:.3g} GB: it {fits}",
        *part_lines(device.parts),
    ]
    if device.largest_batch is None:
        lines.append("  largest batch that fits: memory follows encoder_batch_size, not the batch")
    else:
        lines.append(f"  largest batch that fits: {device.largest_batch or 'none'}")
    if device.speed is None or device.days is None:
        lines.append(
            "  pictures/s: not known; name a kind of GPU that multiplies in bf16, with gpu"
        )
        return lines
    how = "measured" if plan.flops_per_image is None else "estimated from FLOPs"
    lines.append(f"  pictures/s: {plus_minus(device.speed)} ({how})")
    lines.append(f"  days to {count(plan.images)} pictures: {plus_minus(device.days)}")
    return lines


def part_lines(parts: list[Part]) -> list[str]:
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
