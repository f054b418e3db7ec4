"""A report of a run: one HTML file with its numbers, curves and pictures, and how to repeat it.

What applies is measured: composition, prompt following, CLIP score and distribution of a
text-to-image model, retrieval of a CLIP, reconstructions of a VAE. What cannot be is named, with
what to do.
"""

from __future__ import annotations

from textdiff.evaluation.report.settings import ReportSettings


def run(settings: ReportSettings) -> None:
    """Read, draw, measure, write.

    Raises:
        CheckpointError: no run in the folder. UsageError, DataError: a judge that took part in the
            model, or data that cannot be used.
    """
    from textdiff.evaluation.report.page import html
    from textdiff.evaluation.report.run import make_report
    from textdiff.evaluation.report.run_files import find_run
    from textdiff.evaluation.results import write_numbers
    from textdiff.files import check_file, write_text

    check_file("--json", settings.json)
    find_run(settings.run)  # before its folder could be made for the page
    check_file("--out", settings.page)
    made = make_report(settings)
    text = html(made.report)
    write_text(settings.page, text)
    for _, missing in made.report.missing:
        print(f"not in the report: {missing.what}: {missing.why}")
    print(f"report: {settings.page} ({len(text) / 1e6:.1f} MB)")
    write_numbers(settings.json, made.numbers)
