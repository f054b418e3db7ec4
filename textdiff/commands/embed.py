"""CLIP embeddings of a data set's images and captions in one file, for `textdiff train-prior`.

Launched by accelerate, its processes share the pictures.
"""

from __future__ import annotations

from textdiff.evaluation.embedding.settings import EmbedSettings

SPLITS = ("train", "val", "test")


def run(settings: EmbedSettings) -> None:
    """Load, encode, write.

    Raises:
        UsageError: data that cannot be found. DataError: too many images that cannot be used.
        CheckpointError: no CLIP there.
    """
    from collections import Counter

    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.embeddings import write_embeddings
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.embedding.embed import embeddings_of
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.features.ranks import join_ranks
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.threads import settle_threads
    from textdiff.training.launch import start_all_processes

    check_file("--out", settings.out)
    start_all_processes()
    ranks = join_ranks()
    device = ranks.device(pick_device(settings.device))
    clip = ClipModel.load(settings.clip).freeze().to(device)
    config = data_of_run(settings.data, "--clip", settings.clip)
    data = open_data(as_clip_sees(config, clip), settings.split)
    settle_threads(device)
    cache = open_cache(settings.feature_cache, settings.data)
    features = CachedFeatures(ClipExtractor(settings.clip, clip), cache, ranks)
    embeddings = embeddings_of(features, clip, data)
    if ranks.is_main:
        write_embeddings(settings.out, embeddings)
        counts: Counter[str] = Counter(embeddings.splits)
        splits = ", ".join(f"{name} {counts[name]}" for name in SPLITS if counts[name])
        print(
            f"embeddings of {len(embeddings)} images ({splits}) and {len(embeddings.texts)} "
            f"captions, {clip.embed_dim} numbers each: {settings.out}"
        )
