"""What `textdiff train-prior` trains: a prior, on a file of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textdiff.clip.model import ClipModel
from textdiff.data.embedding_space import check_same_space
from textdiff.data.embeddings import EmbeddedImages, Embeddings, read_embeddings
from textdiff.errors import CheckpointError, EmptySplitError, UsageError
from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.pipeline.prior.config import PriorConfig
from textdiff.pipeline.prior.prior import Prior, build_network
from textdiff.pipeline.prior.space import space_of
from textdiff.randomness import seed_of, weights_drawn_by
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.fresh_model import check_same_clip
from textdiff.training.run import TrainingSpec
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.tasks.autoregressive_prior import AutoregressivePriorTask
from textdiff.training.tasks.diffusion_prior import DiffusionPriorTask

if TYPE_CHECKING:
    from accelerate import Accelerator


def prior_spec(settings: TrainPriorSettings) -> TrainingSpec:
    """Loads embeddings and CLIP and builds the network.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    embeddings = read_embeddings(settings.embeddings)
    clip = clip_of(embeddings, settings.clip, settings.embeddings)
    data, held_out = embeddings.of_split("train"), open_held_out(embeddings)
    config = PriorConfig(
        kind=settings.kind,
        clip=settings.clip or embeddings.clip,
        space=embeddings.space,
        text_width=clip.text_width,
        context_length=clip.context_length,
        transformer=settings.transformer,
        scaling=settings.scaling,
        schedule=settings.schedule,
        codes=settings.codes,
    )
    prior = fresh_prior(config, clip, data, settings.seed)
    try:
        prior.check(settings.preview)
    except UsageError as error:
        raise UsageError(f"preview: {error}") from None

    def build_task(accelerator: Accelerator) -> DiffusionPriorTask | AutoregressivePriorTask:
        prior.to(accelerator.device)
        common: dict[str, Any] = {
            "prior": prior,
            "embed": CaptionEmbeddings(clip, [*embeddings.texts, ""]),
            "seed": settings.seed,
            "caption_drop": settings.caption_drop,
            "held_out": held_out,
            "eval_images": settings.eval_images,
            "preview": settings.preview,
        }
        if settings.kind == "diffusion":
            return DiffusionPriorTask(**common)
        return AutoregressivePriorTask(**common, data=data)

    run, file = settings.run_dir, settings.embeddings
    return TrainingSpec(
        build_task=build_task,
        data=data,
        config=settings.train,
        settings=settings,
        seed=settings.seed,
        fixed={
            "prior": config.fixed(),
            "caption_drop": settings.caption_drop,
            "ema_decay": settings.ema_decay,
        },
        ema_decay=settings.ema_decay,
        check=lambda folder: check_same_clip(folder, clip),
        prepare=prior.describe,
        next_steps={
            "how near its embeddings come": ["prior", "--prior", run, "--embeddings", file],
        },
    )


def clip_of(embeddings: Embeddings, name: str | None, file: str) -> ClipModel:
    """The CLIP that made them, frozen. name: None: where it lay then.

    Raises:
        CheckpointError: no CLIP there. UsageError: another one.
    """
    try:
        clip = ClipModel.load(name or embeddings.clip).freeze()
    except CheckpointError as error:
        if name:
            raise
        raise CheckpointError(
            f"{error} (that is where {file} was made with; name the place with --clip)"
        ) from None
    called = f"--clip {name}" if name else f"the CLIP in {embeddings.clip}"
    check_same_space(f"--embeddings {file}", embeddings.space, called, space_of(clip))
    return clip


def open_held_out(embeddings: Embeddings) -> EmbeddedImages | None:
    """The validation rows; None where there are none."""
    try:
        return embeddings.of_split("val")
    except EmptySplitError:
        return None


def fresh_prior(config: PriorConfig, clip: ClipModel, data: EmbeddedImages, seed: int) -> Prior:
    """A prior whose weights are a function of the seed, and its tables of the training rows.

    Raises:
        UsageError: more components than the rows have.
    """
    with weights_drawn_by(seed_of(seed, "prior")):
        network = build_network(config)
    if isinstance(network, AutoregressivePrior):
        fit_codes(network, data)
    elif config.scaling == "standard":
        network.clip_mean.copy_(data.embeddings.mean)
        network.clip_std.copy_(data.embeddings.std)
    return Prior(network, clip, config)


def fit_codes(network: AutoregressivePrior, data: EmbeddedImages) -> None:
    """Fills its tables. Raises UsageError as `fresh_prior`."""
    pairs = [(row, text) for row, texts in enumerate(data.captions) for text in texts]
    images = data.image[[row for row, _ in pairs]]
    texts = data.embeddings.text_of([text for _, text in pairs])
    try:
        network.fit(data.image, (images * texts).sum(dim=1))
    except ValueError as error:
        raise UsageError(
            f"--codes.num-components {network.config.num_components}: {error}; give fewer"
        ) from None
