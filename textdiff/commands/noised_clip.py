"""What a noised CLIP knows: zero-shot accuracy and retrieval of x_t at each timestep, beside a
clean CLIP that sees the same x_t without t."""

from __future__ import annotations

from textdiff.errors import require_extra
from textdiff.evaluation.noised_clip.settings import NoisedClipSettings


def run(settings: NoisedClipSettings) -> None:
    """Load, noise, search, show.

    Raises:
        UsageError: pictures of another size, timesteps outside, or matplotlib is missing.
        CheckpointError: a CLIP that cannot be used.
    """
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.noised_clip.clips import load_pair
    from textdiff.evaluation.noised_clip.measure import choose_timesteps, measure_noised_clip
    from textdiff.evaluation.noised_clip.plot import plot_levels
    from textdiff.evaluation.noised_clip.result import NoisedClipProtocol, NoiseProtocol
    from textdiff.evaluation.noised_clip.table import print_levels
    from textdiff.evaluation.protocol import clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    check_file("--plot", settings.plot)
    if settings.plot:
        require_extra("plot", "the plot")
    device = pick_device(settings.device)
    pair = load_pair(settings.noised, settings.clean, device)
    noised, clean = pair.noised, pair.clean
    timesteps = choose_timesteps(
        settings.timesteps, settings.levels, noised.num_timesteps, settings.noised
    )
    config = data_of_run(settings.data, "--noised", settings.noised)
    config = fit_data(config, pair.image_size, f"--noised {settings.noised}")
    data = open_data(config, settings.split)
    settle_threads(device)
    result = measure_noised_clip(
        noised,
        clean,
        data,
        timesteps=timesteps,
        draws=settings.draws,
        template=settings.template,
        seed=settings.seed,
        limit=settings.limit,
        codec=pair.codec,
    )
    print_levels(result, data.title)
    protocol = NoisedClipProtocol(
        noise=NoiseProtocol(noised.schedule_config, settings.draws, settings.seed),
        template=settings.template,
        data=data_protocol(data),
        noised=clip_protocol(settings.noised, noised),
        clean=clip_protocol(pair.clean_name, clean),
    )
    write_result(settings.json, protocol, result)
    if settings.plot:
        plot_levels(settings.plot, result)
        print(f"plot: {settings.plot}")
