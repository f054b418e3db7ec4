"""`textdiff index search`: pictures of an index by text, by picture, or by both with weights."""

from __future__ import annotations

from textdiff.retrieval.settings import IndexSearchSettings


def run(settings: IndexSearchSettings) -> None:
    """Load, search, show.

    Raises:
        UsageError: another CLIP than the index', or a query that cannot be asked.
        DataError: a damaged index, a picture that cannot be used, or, for the sheet, a source that
            is not where it was.
    """
    from textdiff.devices import pick_device
    from textdiff.evaluation.results import to_json, write_numbers
    from textdiff.files import check_file
    from textdiff.retrieval.asked import answer_of, parts_of, query_of, title_of
    from textdiff.retrieval.given import load_clip
    from textdiff.retrieval.index import Index
    from textdiff.retrieval.searcher import Searcher
    from textdiff.retrieval.table import print_found, save_sheet
    from textdiff.threads import settle_threads

    check_file("--out", settings.out)
    check_file("--json", settings.json)
    parts = parts_of(settings)
    query, title = query_of(parts), title_of(parts)
    index = Index.open(settings.index)
    device = pick_device(settings.device)
    name = settings.clip or index.manifest.clip
    clip = load_clip(name, device, None if settings.clip else settings.index)
    searcher = Searcher(index, clip, name)
    settle_threads(device)
    found = searcher.search(query, settings.top, settings.near, settings.exact)
    listed = found.hits if settings.all else found.matches
    print_found(title, index, found, listed)
    if settings.out:
        save_sheet(settings.out, title, index, listed, settings.picture_size)
    write_numbers(settings.json, to_json(answer_of(settings, index, found, listed)))
