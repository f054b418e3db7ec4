"""How faithful a VAE is to pictures, and how far its latents are from N(0, I).

With --out, the VAE is written with the statistics of its latents over the training split: what a
VAE of another project needs before diffusion in its latents, where its config names no scale, or
one that is not its own. Pictures have the size of its training, or of its last measurement, unless
--data.image-size says another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.evaluation.vae.settings import VaeEvalSettings

if TYPE_CHECKING:
    from textdiff.data.config import DataConfig
    from textdiff.vae import Vae


def run(settings: VaeEvalSettings) -> None:
    """Load, reconstruct, judge, show.

    Raises:
        UsageError: pictures of a size that the VAE cannot halve often enough, or a hub name that
            cannot be downloaded.
        CheckpointError: no VAE or no CLIP there. DataError: too few pictures, or
            too many for judges.
    """
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.features.cached import clip_features
    from textdiff.evaluation.protocol import clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.tables import print_notes
    from textdiff.evaluation.vae.measure import (
        check_judged,
        measure_vae,
        reconstruct,
        vae_protocol,
    )
    from textdiff.evaluation.vae.result import VaeProtocol
    from textdiff.evaluation.vae.sheet import save_sheet
    from textdiff.evaluation.vae.table import note_on_scale, print_vae
    from textdiff.files import check_file, check_folder
    from textdiff.threads import settle_threads
    from textdiff.vae import Vae

    check_file("--json", settings.json)
    check_file("--sheet", settings.sheet)
    if settings.out:
        check_folder("--out", settings.out)
    device = pick_device(settings.device)
    vae = Vae.load(settings.vae, device)
    config = data_of_run(settings.data, "--vae", settings.vae)
    if "need_captions" not in settings.data.model_fields_set:
        config = config.model_copy(update={"need_captions": False})
    if "image_size" not in config.model_fields_set:  # neither flags nor a run say it
        config = config.model_copy(update={"image_size": vae.image_size})
    vae.latent_shape(config.image_size)
    data = open_data(config, settings.split)
    if settings.judge:
        check_judged(data, settings.limit)
    judges = {name: ClipModel.load(name).freeze().to(device) for name in settings.judge}
    settle_threads(device)
    if settings.out:
        write_with_statistics(vae, config, settings)
    done = reconstruct(vae, data, settings.limit, settings.batch_size)
    result = measure_vae(done, {name: clip_features(clip, name) for name, clip in judges.items()})
    print_vae(result, f"{data.title} at {data.image_size}x{data.image_size} pixels")
    note = note_on_scale(vae, result, config)
    print_notes([note] if note else [])
    if settings.sheet:
        save_sheet(settings.sheet, done, settings.sheet_pictures)
    protocol = VaeProtocol(
        vae=vae_protocol(settings.vae, vae),
        data=data_protocol(data),
        judges={name: clip_protocol(name, clip) for name, clip in judges.items()},
    )
    write_result(settings.json, protocol, result)


def write_with_statistics(vae: Vae, config: DataConfig, settings: VaeEvalSettings) -> None:
    """Writes `vae` into --out with the statistics of the training split; says so."""
    from textdiff.data import open_data
    from textdiff.metrics.latents import measure_latents

    assert settings.out is not None
    train = open_data(config, "train")
    vae.statistics = measure_latents(vae, train, settings.statistics_images)
    vae.save(settings.out)
    print(
        f"{settings.out}: the VAE with the statistics of its latents on {vae.statistics.count} "
        f"pictures of {train.title} at {train.image_size}x{train.image_size} pixels"
    )
