"""Two files of numbers of one evaluation: what differs between them, in pairs, with intervals.

    textdiff compare a.json b.json

Files of different protocols are refused, with each setting that differs. Model, sampling settings,
or for retrieval and classification the CLIP, are what is compared, and listed.
"""

from __future__ import annotations

from textdiff.evaluation.compare.settings import CompareSettings


def run(settings: CompareSettings) -> None:
    """Read, compare, show.

    Raises:
        UsageError: files that cannot be read, of two protocols, or without an item in common.
    """
    from textdiff.evaluation.compare.document import read_document
    from textdiff.evaluation.compare.measure import compare, compare_protocol
    from textdiff.evaluation.compare.protocols import compare_protocols
    from textdiff.evaluation.compare.table import print_comparison
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file

    check_file("--json", settings.json)
    a, b = (read_document(path) for path in settings.files)
    compared = compare_protocols(a, b)
    result = compare(a, b, compared)
    print_comparison(result, compared, a, b)
    write_result(settings.json, compare_protocol(a, b, compared), result)
