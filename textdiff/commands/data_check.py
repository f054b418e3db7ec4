"""`textdiff data check SOURCE`: would a training run on it, and what would it refuse?

Goes through the whole source once, as a training does. Exit code 0 where one would run, 3 where it
would not; the page and the numbers are written in both cases.
"""

from __future__ import annotations

from pydantic import Field

from textdiff.commands.context_length import CountedSettings, context_length
from textdiff.data.config import DataConfig


class DataCheckSettings(CountedSettings):
    data: DataConfig = DataConfig()
    report: str = Field(
        "out/data.html", description="where the page goes, one file that opens from disk"
    )
    num_pictures: int = Field(24, ge=0, description="usable pictures that the page shows")
    json: str | None = Field(  # type: ignore[assignment]  # of a deprecated method's name
        None, description="write the numbers here too, with every flaw and replacement"
    )


def run(settings: DataCheckSettings) -> None:
    """Read, decode, count, write.

    Raises:
        DataError: a training would not run. CheckpointError, UsageError: of the CLIP.
    """
    from textdiff.data.check import check_data
    from textdiff.errors import DataError
    from textdiff.evaluation.data_check.page import data_report, summary
    from textdiff.evaluation.report.page import html
    from textdiff.evaluation.results import write_numbers
    from textdiff.evaluation.tables import print_facts
    from textdiff.files import check_file, write_text

    check_file("--report", settings.report)
    check_file("--json", settings.json)
    length, origin = context_length(settings)
    checked = check_data(settings.data, length)
    page = html(data_report(checked, settings.num_pictures, origin))
    write_text(settings.report, page)
    write_numbers(settings.json, {"check": checked.check, "context_length_from": origin})
    print_facts(settings.data.source, summary(checked.check))
    print(f"report: {settings.report} ({len(page) / 1e6:.1f} MB)")
    if checked.check.trouble:
        raise DataError(checked.check.trouble)
