"""`textdiff index info`: what is in an index, checked file by file, and whether its sources are
where they were."""

from __future__ import annotations

from textdiff.retrieval.settings import IndexInfoSettings


def run(settings: IndexInfoSettings) -> None:
    """Raises DataError: no index, or a damaged one."""
    from textdiff.evaluation.results import to_json, write_numbers
    from textdiff.evaluation.tables import print_facts
    from textdiff.files import check_file
    from textdiff.retrieval.index import Index
    from textdiff.retrieval.info import facts_of, info_of

    check_file("--json", settings.json)
    info = info_of(Index.open(settings.index))
    print_facts(settings.index, facts_of(info))
    write_numbers(settings.json, to_json(info))
