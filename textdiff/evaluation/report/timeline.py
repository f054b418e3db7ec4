"""How the pictures of a run came to be: the same prompts and noise at each evaluation."""

from __future__ import annotations

from pathlib import Path

from textdiff.data.text import shown
from textdiff.data.timeline_columns import column_files, evenly_spaced, read_column
from textdiff.evaluation.report.document import Block, Missing, Part, Section, Timeline
from textdiff.evaluation.report.images import picture

COLUMNS = 10
PROMPTS = 12


def timeline(run: Path) -> Part:
    """Of a run folder; the prompts are those of its last evaluation."""
    lead = (
        "The same prompts from the same noise as training goes on, drawn as the run's own settings "
        "of previews say."
    )
    found = read_timeline(run / "samples" / "timeline")
    block: Block = found or Missing(
        "Pictures over time",
        "the folder has no samples/timeline: the run drew no previews",
        "Train with --preview.num-prompts 8",
    )
    return Part(Section("timeline", "Pictures over time", lead, [block]))


def read_timeline(folder: Path) -> Timeline | None:
    """None where no file there can be read."""
    columns = [
        (step, column) for step, file in column_files(folder) if (column := read_column(file))
    ]
    if not columns:
        return None
    prompts = columns[-1][1].prompts
    same = [(step, column) for step, column in columns if column.prompts == prompts]
    kept = evenly_spaced(same, COLUMNS)
    rows = []
    for number, prompt in list(enumerate(map(shown, prompts)))[:PROMPTS]:
        pictures = [
            picture(column.pictures[number], "", alt=f"{prompt}, drawn at step {step:,}")
            for step, column in kept
        ]
        rows.append((prompt, pictures))
    return Timeline([step for step, _ in kept], rows)
