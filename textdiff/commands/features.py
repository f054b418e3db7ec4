"""Features of pictures in a file that evaluations take with --features-file or --reference.

Launched by accelerate, its processes share the pictures.
"""

from __future__ import annotations

from textdiff.evaluation.features.settings import FeaturesSettings


def run(settings: FeaturesSettings) -> None:
    """Load, encode, write.

    Raises:
        UsageError: an extractor or pictures that are not there.
    """
    from pathlib import Path

    from textdiff.data import open_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.feature_set import write_features
    from textdiff.evaluation.features.named import load_extractor
    from textdiff.evaluation.features.ranks import join_ranks
    from textdiff.evaluation.pictures import open_pictures
    from textdiff.files import check_file
    from textdiff.threads import settle_threads
    from textdiff.training.launch import start_all_processes

    check_file("--out", settings.out)
    start_all_processes()
    ranks = join_ranks()
    device = ranks.device(pick_device(settings.device))
    extractor = load_extractor(settings.features, device, settings.batch_size)
    if settings.images:
        config = extractor.prepared(settings.data)
        data = open_pictures(settings.images, config, captioned=False)
    else:
        config = data_of_run(settings.data, "--features", settings.features)
        data = open_data(extractor.prepared(config), settings.split)
    settle_threads(device)
    cache = open_cache(settings.feature_cache, settings.data)
    features = CachedFeatures(extractor, cache, ranks).of_split(data, settings.limit)
    if ranks.is_main:
        write_features(Path(settings.out), features)
        dim = features.extractor.dim
        print(f"features of {len(features)} pictures, {dim} numbers each: {settings.out}")
