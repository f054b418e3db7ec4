"""Retrieval of a CLIP on captioned images: R@1/5/10 and median rank, both ways.

Launched by accelerate, its processes share the pictures.
"""

from __future__ import annotations

from textdiff.evaluation.retrieval.settings import RetrievalSettings


def run(settings: RetrievalSettings) -> None:
    """Load, search, show.

    Raises:
        UsageError: features of another CLIP.
    """
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.features.ranks import join_ranks
    from textdiff.evaluation.protocol import SourceProtocol, clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.retrieval.measure import (
        RetrievalProtocol,
        measure_retrieval,
        print_rates,
    )
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.threads import settle_threads
    from textdiff.training.launch import start_all_processes

    check_file("--json", settings.json)
    start_all_processes()
    ranks = join_ranks()
    device = ranks.device(pick_device(settings.device))
    clip = ClipModel.load(settings.clip).freeze().to(device)
    cache = open_cache(settings.feature_cache, settings.data)
    features = CachedFeatures(ClipExtractor(settings.clip, clip), cache, ranks)
    if settings.features_file:
        images = features.of_file("--features-file", settings.features_file)
        title = images.title
        data: SourceProtocol = images.source
    else:
        config = data_of_run(settings.data, "--clip", settings.clip)
        searched = open_data(as_clip_sees(config, clip), settings.split)
        settle_threads(device)
        images = features.of_split(searched, settings.limit)
        title, data = searched.title, data_protocol(searched)
    if not ranks.is_main:
        return
    result = measure_retrieval(features, images)
    print_rates(result, title)
    protocol = RetrievalProtocol(data=data, clip=clip_protocol(settings.clip, clip))
    write_result(settings.json, protocol, result)
