"""Retrieval of a CLIP on captioned images: R@1/5/10 image to text and text to image."""

from __future__ import annotations

from textdiff.evaluation.retrieval.settings import RetrievalSettings


def run(settings: RetrievalSettings) -> None:
    """Load, search, show."""
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.devices import pick_device
    from textdiff.evaluation.protocol import clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.retrieval.measure import (
        RetrievalProtocol,
        measure_retrieval,
        print_rates,
    )
    from textdiff.files import check_file

    check_file("--json", settings.json)
    data = open_data(settings.data, settings.split)
    clip = ClipModel.load(settings.clip).freeze().to(pick_device(settings.device))
    result = measure_retrieval(clip, data, settings.limit)
    print_rates(result, f"{data.name}, split {data.split}")
    protocol = RetrievalProtocol(data=data_protocol(data), clip=clip_protocol(settings.clip, clip))
    write_result(settings.json, protocol, result)
