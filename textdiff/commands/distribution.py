"""Distribution: how drawn pictures as a whole differ from real ones, by features of a network.

Frechet distance, KID and CMMD; precision, recall, density and coverage; diversity among the
pictures of a prompt; the nearest training picture of each. One half of the real pictures against
the other stands beside. Launched by accelerate, its processes share the pictures of folders.
"""

from __future__ import annotations

from textdiff.evaluation.distribution.settings import DistributionSettings


def run(settings: DistributionSettings) -> None:
    """Load, draw or open, compare, show.

    Raises:
        UsageError: features of two extractors, pictures of several sizes, drawing in several
            processes. DataError: fewer than two pictures of either kind.
    """
    from textdiff.devices import pick_device
    from textdiff.evaluation.distribution.run import compare_files, compare_pictures
    from textdiff.evaluation.distribution.table import print_distribution
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.named import load_extractor
    from textdiff.evaluation.features.ranks import join_ranks
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.threads import settle_threads
    from textdiff.training.launch import start_all_processes

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    start_all_processes()
    ranks = join_ranks()
    device = ranks.device(pick_device(settings.device))
    settle_threads(device)
    if settings.features is None:
        assert settings.features_file and settings.reference  # the settings' own check
        compared = compare_files(settings.features_file, settings.reference)
    else:
        cache = open_cache(settings.feature_cache, settings.data)
        by = CachedFeatures(load_extractor(settings.features, device), cache, ranks)
        compared = compare_pictures(settings, by, device)
    if not ranks.is_main:
        return
    result, protocol = (
        compared.measure(),
        compared.protocol(settings.prompt_seed, settings, settings.compare_size),
    )
    print_distribution(result, compared.real.title, protocol.features.name)
    if settings.grid:
        compared.save_grid(settings.grid, settings.grid_pictures)
    write_result(settings.json, protocol, result)
