"""From a run folder to its report: everything that applies, and why not where something does not.

run folder ── metrics.jsonl ──► curves      samples/timeline ──► pictures over time
weights ── the evaluations that apply ──► a part each      all of it ──► protocol
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textdiff import __version__
from textdiff.evaluation.report.charts import learning
from textdiff.evaluation.report.document import Part, Report
from textdiff.evaluation.report.measured import measured
from textdiff.evaluation.report.run_files import RunFiles, open_run
from textdiff.evaluation.report.settings import ReportSettings
from textdiff.evaluation.report.timeline import timeline


@dataclass(frozen=True)
class Made:
    """A report, and its numbers with their protocol for JSON."""

    report: Report
    numbers: Mapping[str, Any]


def make_report(settings: ReportSettings) -> Made:
    """Raises CheckpointError: no run there. UsageError, DataError: a judge that took part in the
    model, or data that cannot be used."""
    run = open_run(settings.run)
    parts = list(parts_of(run, settings))
    numbers: dict[str, Any] = {"metric": "report", "run": settings.run, "kind": run.kind}
    for part in parts:
        numbers |= part.numbers
    report = Report(
        title=run.folder.resolve().name,
        about=about(run, numbers),
        headlines=[row for part in parts for row in part.headlines],
        sections=[part.section for part in parts],
        version=__version__,
    )
    numbers["missing"] = [f"{block.what}: {block.why}" for _, block in report.missing]
    return Made(report, numbers)


def parts_of(run: RunFiles, settings: ReportSettings) -> Iterator[Part]:
    """In the order of the page."""
    yield learning(run.log)
    if run.kind == "text-to-image model":
        yield timeline(run.folder)
    yield from measured(run, settings)


def about(run: RunFiles, numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands below the title."""
    facts: list[tuple[str, str]] = [("kind", run.kind)]
    model = numbers["model"] or {}
    step = model.get("step") or (run.log.last_step if run.log else None)
    if step is not None:
        facts.append(("step", f"{step:,}"))
    seconds = run.log.last("seconds") if run.log else None
    if seconds is not None:
        facts.append(("trained for", duration(seconds)))
    for data in list(numbers["data"].values())[:1]:
        side = data["image_size"]
        facts += [("data", data["source"]), ("pictures", f"{side} x {side} pixels")]
    if numbers["prompts"]:
        count = numbers["num_images"] * sum(numbers["prompts"].values())
        sampling = numbers["sampling"]
        scale, steps = sampling["guidance_scale"], sampling["num_steps"]
        facts.append(("drawn for this report", f"{count} pictures"))
        facts.append(("sampler", f"{sampling['sampler']}, {steps} steps, guidance {scale:g}"))
    if model:
        facts.append(("weights", model["weights"]))
    return facts


def duration(seconds: float) -> str:
    """Such as "16.9 min"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
