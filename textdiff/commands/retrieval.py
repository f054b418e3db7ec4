"""Retrieval of a CLIP on captioned images: R@1/5/10 image to text and text to image."""

from __future__ import annotations

from textdiff.evaluation.retrieval.settings import RetrievalSettings


def run(settings: RetrievalSettings) -> None:
    """Load, search, show."""
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.protocol import clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.retrieval.measure import (
        RetrievalProtocol,
        measure_retrieval,
        print_rates,
    )
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    device = pick_device(settings.device)
    clip = ClipModel.load(settings.clip).freeze().to(device)
    config = data_of_run(settings.data, "--clip", settings.clip)
    data = open_data(as_clip_sees(config, clip), settings.split)
    settle_threads(device)
    result = measure_retrieval(clip, data, settings.limit)
    print_rates(result, data.title)
    protocol = RetrievalProtocol(data=data_protocol(data), clip=clip_protocol(settings.clip, clip))
    write_result(settings.json, protocol, result)
