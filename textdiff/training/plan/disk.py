"""Disk that a training takes: its checkpoints, and caches of its data."""

from __future__ import annotations

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.training.plan.memory import Part
from textdiff.training.plan.reading import StepReading
from textdiff.training.plan.settings import train_of
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings


def disk_parts(settings: Settings, step: StepReading, rows: int) -> list[Part]:
    """rows: pictures of the data."""
    held, kept = step.held, train_of(settings).keep_checkpoints
    each = held.weights + held.optimizer + held.average
    parts = [Part(f"checkpoints: {kept} kept, one more while it is written", (kept + 1) * each)]
    if isinstance(settings, (TrainSettings, TrainPriorSettings)):
        tables = step.texts * step.text_bytes
        parts.append(Part("networks it is conditioned on, in the run folder", held.others - tables))
    elif isinstance(settings, TrainVaeSettings):
        parts.append(Part("the VAE as a folder of diffusers", held.weights - held.adversary))
    else:
        parts.append(Part("the towers as an open_clip folder", held.weights))
    data: DataConfig | None = getattr(settings, "data", None)
    if data is not None and data.cache != "off" and step.latent_bytes:
        parts.append(Part("latents of the pictures", step.latent_bytes * rows))
    elif data is not None and data.cache != "off" and data.source != "scenes":
        size = 3 * data.image_size**2 * rows
        parts.append(Part(f"resized pictures, cache {data.cache}", size))
    return parts
