"""How near a prior's embeddings come to those of images, and how often they find them."""

from __future__ import annotations

from textdiff.evaluation.prior.settings import PriorEvalSettings


def run(settings: PriorEvalSettings) -> None:
    """Load, draw, compare, show.

    Raises:
        UsageError: embeddings of another CLIP, or more steps than the prior's schedule has.
        DataError: embeddings that cannot be used. CheckpointError: no prior there.
    """
    from textdiff.data.embedding_space import check_same_space
    from textdiff.data.embeddings import read_embeddings
    from textdiff.devices import pick_device
    from textdiff.evaluation.prior.measure import (
        draw_best,
        embeddings_protocol,
        measure_prior,
        prior_protocol,
        rows_of,
    )
    from textdiff.evaluation.prior.result import PriorProtocol
    from textdiff.evaluation.prior.table import print_nearness
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.pipeline.prior import Prior
    from textdiff.pipeline.prior.config import EmbeddingSampling
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    device = pick_device(settings.device)
    embeddings = read_embeddings(settings.embeddings)
    prior = Prior.load(settings.prior, device)
    check_same_space(
        f"--prior {settings.prior}",
        prior.config.space,
        f"--embeddings {settings.embeddings}",
        embeddings.space,
    )
    data = embeddings.of_split(settings.split)
    rows = rows_of(data, settings.limit)
    settle_threads(device)
    result = measure_prior(rows, draw_best(prior, rows.captions, settings.candidates, settings))
    print_nearness(result, data.name)
    protocol = PriorProtocol(
        prior=prior_protocol(settings.prior, prior),
        embeddings=embeddings_protocol(data, rows),
        sampling=settings.model_dump(mode="json", include=set(EmbeddingSampling.model_fields)),
    )
    write_result(settings.json, protocol, result)
