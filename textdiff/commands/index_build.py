"""`textdiff index build`: an index of pictures, to be searched by text and by picture.

Killed on the way, the same command continues where it was.
"""

from __future__ import annotations

from textdiff.retrieval.settings import IndexBuildSettings


def run(settings: IndexBuildSettings) -> None:
    """Load, encode what is not in the feature cache, write.

    Raises:
        UsageError: a place that holds something else, or a source that is given twice.
        DataError: pictures that cannot be used.
    """
    from pathlib import Path

    from textdiff.devices import pick_device
    from textdiff.errors import require_extra
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.retrieval.given import given_sources, load_clip, located_clip
    from textdiff.retrieval.table import print_added
    from textdiff.retrieval.writer import IndexWriter, check_distinct, check_new
    from textdiff.threads import settle_threads

    check_new("--out", Path(settings.out))
    if settings.approximate == "on":
        require_extra("retrieval", "--approximate on")
    device = pick_device(settings.device)
    extractor = ClipExtractor(settings.clip, load_clip(settings.clip, device))
    sources = given_sources(
        extractor, settings.clip, settings.data, settings.split, settings.images
    )
    check_distinct(sources)
    settle_threads(device)
    cache = open_cache(settings.feature_cache, settings.data)
    features = CachedFeatures(extractor, cache)
    with IndexWriter.create(settings.out, features, located_clip(settings.clip)) as writer:
        added = [writer.add(data) for data in sources]
        writer.finish(settings.approximate)
    print_added(writer.index, added)
