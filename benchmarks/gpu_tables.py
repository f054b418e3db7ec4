"""What was found, as Markdown tables; a row that was not measured says why."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from gpu_loop import Speed
from gpu_plan import Section
from gpu_profile import TOP, Kernel, Profile, by_kind, short_name
from gpu_schedule import Found, Measured
from rounds import spread, table

GOAL = 1.5


def show(section: Section, found: Found, peak: float) -> None:
    """Prints the section's tables.

    peak: FLOP per second of the card.
    """
    rows = rows_of(section, found)
    if section.kind == "timed":
        show_timed(section, found, rows, peak)
    elif section.kind == "loop":
        show_loop(section, rows)
    else:
        show_profiles(section, rows)


def rows_of(section: Section, found: Found) -> dict[str, Measured]:
    return {name: row for job in section.jobs for name, row in found.rows.get(job.name, {}).items()}


def show_timed(section: Section, found: Found, rows: Mapping[str, Measured], peak: float) -> None:
    facts = found.facts.get(section.jobs[0].name, {})
    images = facts.get("batch", 0) if section.images is None else section.images
    flops = facts.get("flops", 0.0)
    base = fastest(rows, section.beside)
    head = ["", f"ms per {section.call}", "GiB"]
    head += ["images/s"] * bool(images) + ["of bf16 peak"] * bool(flops)
    head += [f"times as fast as {base or f'{section.beside} (none ran)'}"]
    body = []
    for name, row in rows.items():
        if not row.seconds:
            body.append([name, row.why or "not reached"])
            continue
        middle = statistics.median(row.seconds)
        cells = [name, within(row.seconds), f"{row.gib:.1f}"]
        cells += [f"{images / middle:.0f}"] * bool(images)
        cells += [f"{images * flops / middle / peak:.1%}"] * bool(flops)
        cells += [f"{times(rows, base, name):.2f}" if base else ""]
        body.append(cells)
    size = f": {images:.0f}" if section.images is None and images else ""
    show_table(f"{section.title}{size}", head, body)
    if "difference" in facts:
        print(f"\nOutputs of both sides in fp32 differ by {facts['difference']:.1e} at most.")
    own = fastest(rows, "ours")
    if own and base and section.beside == "diffusers":
        print(
            f"\nOurs at its best ({own}) is {times(rows, base, own):.2f} times as fast as "
            f"diffusers at its best ({base}); the goal is {GOAL}."
        )


def show_loop(section: Section, rows: Mapping[str, Measured]) -> None:
    body = []
    for name, row in rows.items():
        speed = row.said
        if not isinstance(speed, Speed):
            body.append([name, row.why or "not reached"])
            continue
        by_step = f"{speed.median:.0f} ({speed.low:.0f} to {speed.high:.0f})"
        shares = [f"{share:.0%}" for share in (speed.loader, speed.draws)]
        body.append([name, by_step, f"{speed.mean:.0f}", *shares])
    head = ["", "images/s, by step", "images/s in all", "loader, share of time", "noise, share"]
    show_table(section.title, head, body)


def show_profiles(section: Section, rows: Mapping[str, Measured]) -> None:
    for name, row in rows.items():
        title, profile = f"{section.title}, {name.split(',')[0]}", row.said
        if not isinstance(profile, Profile):
            show_table(title, ["", "ms"], [[name, row.why or "not reached"]])
            continue
        busy = f"kernels {profile.busy_ms:.1f} ms of a step of {profile.step_ms:.1f} ms"
        kinds = [profile_line(kernel, profile, kernel.name) for kernel in by_kind(profile.kernels)]
        show_table(f"{title}: {busy}", ["kind", "calls", "ms", "of the kernels"], kinds)
        longest = [
            profile_line(kernel, profile, f"`{short_name(kernel.name)}`")
            for kernel in profile.kernels[:TOP]
        ]
        show_table(
            f"{title}: the {TOP} longest", ["kernel", "calls", "ms", "of the kernels"], longest
        )


def profile_line(kernel: Kernel, profile: Profile, name: str) -> list[str]:
    share = kernel.ms / profile.busy_ms if profile.busy_ms else 0.0
    return [name, f"{kernel.calls}", f"{kernel.ms:.2f}", f"{share:.1%}"]


def show_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    table(f"## {title}", head, [row + [""] * (len(head) - len(row)) for row in rows])


def within(seconds: list[float]) -> str:
    """Milliseconds: median and quartiles of all rounds."""
    if len(seconds) < 2:
        return f"{1e3 * seconds[0]:.1f} (one round)"
    found = spread([1e3 * value for value in seconds])
    return f"{found['median']:.1f} ({found['low']:.1f} to {found['high']:.1f})"


def fastest(rows: Mapping[str, Measured], beginning: str) -> str | None:
    medians = {
        name: statistics.median(row.seconds)
        for name, row in rows.items()
        if row.seconds and name.startswith(beginning)
    }
    return min(medians, key=lambda name: medians[name]) if medians else None


def times(rows: Mapping[str, Measured], base: str, name: str) -> float:
    """How many times as fast as `base` it is, by medians."""
    return statistics.median(rows[base].seconds) / statistics.median(rows[name].seconds)
