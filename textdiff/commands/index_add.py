"""`textdiff index add`: more pictures into an index, without building it again."""

from __future__ import annotations

from textdiff.retrieval.settings import IndexAddSettings


def run(settings: IndexAddSettings) -> None:
    """Load, encode what is new, write.

    Raises:
        UsageError: another CLIP than the index', or a source that is given twice.
        DataError: a damaged index, or pictures that cannot be used.
    """
    from textdiff.devices import pick_device
    from textdiff.errors import require_extra
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.retrieval.given import given_sources, load_clip
    from textdiff.retrieval.index import Index
    from textdiff.retrieval.table import print_added
    from textdiff.retrieval.writer import IndexWriter, check_distinct
    from textdiff.threads import settle_threads

    name = settings.clip or Index.open(settings.index).manifest.clip
    if settings.approximate == "on":
        require_extra("retrieval", "--approximate on")
    device = pick_device(settings.device)
    clip = load_clip(name, device, None if settings.clip else settings.index)
    extractor = ClipExtractor(name, clip)
    sources = given_sources(extractor, name, settings.data, settings.split, settings.images)
    check_distinct(sources)
    settle_threads(device)
    features = CachedFeatures(extractor, open_cache(settings.feature_cache, settings.data))
    with IndexWriter.open(settings.index, features) as writer:
        added = [writer.add(data) for data in sources]
        writer.finish(settings.approximate)
    print_added(writer.index, added)
