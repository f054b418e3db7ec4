"""What `textdiff train-vae` trains: a VAE, on pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from textdiff.data.open import open_data
from textdiff.errors import UsageError
from textdiff.randomness import seed_of
from textdiff.training.discriminator import Discriminator
from textdiff.training.held_out import open_held_out
from textdiff.training.perceptual import perceptual_distance
from textdiff.training.run import TrainingSpec
from textdiff.training.settings.vae import DiscriminatorConfig, TrainVaeSettings
from textdiff.training.task import Adversary
from textdiff.training.tasks.vae import VaeTask
from textdiff.training.vae_network import VaeNetwork
from textdiff.vae.adversarial import PatchDiscriminator
from textdiff.vae.model import Vae, size_message

if TYPE_CHECKING:
    from accelerate import Accelerator

DISCRIMINATOR = "discriminator"


def vae_spec(settings: TrainVaeSettings) -> TrainingSpec:
    """Loads data, builds or loads the network.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    if "need_captions" not in settings.data.model_fields_set:
        captionless = settings.data.model_copy(update={"need_captions": False})
        settings = settings.model_copy(update={"data": captionless})
    loss = settings.loss.of(settings.objective)
    vae = _start(settings)
    shape = vae.latent_shape(settings.data.image_size)
    perceptual = perceptual_distance(loss.perceptual) if loss.perceptual else None
    data, held_out = open_data(settings.data, "train"), open_held_out(settings.data)
    shape_of = settings.vae.model_dump(mode="json")
    start = {"vae_init": None, **{f"vae.{key}": value for key, value in shape_of.items()}}
    if settings.init:
        start = {"vae_init": vae.identity}
    variance = loss.variance if loss.reconstruction == "gaussian" else 1.0
    network = VaeNetwork(vae.network.requires_grad_(True).train(), variance)

    def build_task(accelerator: Accelerator) -> VaeTask:
        return VaeTask(
            model=network,
            shape=shape,
            seed=settings.seed,
            objective=settings.objective,
            loss=loss,
            data=data,
            perceptual=perceptual.to(accelerator.device) if perceptual else None,
            discriminator=_discriminator(settings.discriminator, settings.seed, accelerator),
            statistics_images=settings.statistics_images,
            held_out=held_out,
            eval_images=settings.eval_images,
        )

    return TrainingSpec(
        build_task=build_task,
        data=data,
        config=settings.train,
        settings=settings,
        seed=settings.seed,
        fixed={
            **start,
            "objective": settings.objective,
            "loss": loss.model_dump(mode="json", exclude={"perceptual"}),
            "perceptual": perceptual.identity if perceptual else None,
            "discriminator": _fixed_discriminator(settings.discriminator),
            "ema_decay": settings.ema_decay,
        },
        ema_decay=settings.ema_decay,
        next_steps=_next_steps(settings),
        captions=False,
    )


def _start(settings: TrainVaeSettings) -> Vae:
    """The network to be trained.

    Raises:
        UsageError: pictures of a size that it cannot halve often enough.
        CheckpointError: no VAE at `init`.
    """
    size = settings.data.image_size
    if settings.init:
        vae = Vae.load(settings.init)
        if size % vae.factor:
            raise UsageError(f"--init {settings.init}: {size_message(size, vae.factor)}")
        return vae
    if size % settings.vae.factor:
        raise UsageError(
            f"{size_message(size, settings.vae.factor)}, or fewer levels in vae.block_channels"
        )
    return Vae(Vae.build(settings.vae, settings.seed, size))


def _discriminator(
    config: DiscriminatorConfig, seed: int, accelerator: Accelerator
) -> Discriminator | None:
    if not config.weight:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, DISCRIMINATOR))
        network = PatchDiscriminator(config.channels, config.layers)
    return Discriminator(
        Adversary(DISCRIMINATOR, network, config, config.start),
        weight=config.weight,
        mean=partial(accelerator.reduce, reduction="mean"),
    )


def _fixed_discriminator(config: DiscriminatorConfig) -> dict[str, Any] | None:
    if not config.weight:
        return None
    return config.model_dump(mode="json", include={"weight", "start", "channels", "layers"})


def _next_steps(settings: TrainVaeSettings) -> dict[str, list[str]]:
    run = settings.run_dir
    steps = {"how faithful it is": ["vae", "--vae", run]}
    if settings.objective == "elbo":
        steps["pictures of z ~ N(0, I)"] = [
            *("sample", "--vae", run, "--num-images", "16", "--out", f"{run}/drawn")
        ]
    return steps
