"""Likelihood: the variational bound on -log p(picture | caption) in bits/dim, term by term.

    total = prior L_T + sum_{t >= 1} L_t + discretised L_0            see `diffusion.likelihood`

A uniform guess costs 8 bits/dim; 1 of a binary model's pixels (`binary.likelihood`). Noise is a
function of (seed, image, timestep), so that two models, variances or captions are compared on the
same noised pictures. No guidance: it has no bound. An unCLIP decoder is given each picture's own
embedding besides: its bound is on -log p(picture | embedding, caption).
"""

from __future__ import annotations

from textdiff.errors import UsageError, require_extra
from textdiff.evaluation.likelihood.settings import LikelihoodSettings


def run(settings: LikelihoodSettings) -> None:
    """Load, measure, show.

    Raises:
        UsageError: settings that the model or the machine cannot follow.
        DataError: no image to measure.
    """
    import torch

    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.likelihood.measure import measure_likelihood, open_split
    from textdiff.evaluation.likelihood.plot import plot_bounds
    from textdiff.evaluation.likelihood.result import LikelihoodProtocol
    from textdiff.evaluation.likelihood.table import how_to_measure_all, print_bounds
    from textdiff.evaluation.protocol import data_protocol, model_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    check_file("--plot", settings.plot)
    if settings.plot:
        require_extra("plot", "--plot")
    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)
    if pipe.vae is not None:
        raise UsageError(
            f"--model {settings.model} draws latents of a VAE, which bound no bits/dim of pixels; "
            "give a model of pixels"
        )
    config = data_of_run(settings.data, "--model", settings.model)
    config = fit_data(config, pipe.config.image_size, f"--model {settings.model}")
    data = open_split(config, settings.split)
    estimate = settings.estimate
    if (
        "estimate" not in settings.model_fields_set
    ):  # not asked for: a short chain is measured whole
        chain = settings.num_steps or pipe.schedule.num_timesteps
        estimate = None if estimate is None or chain <= estimate else estimate
    model = model_protocol(settings.model, pipe)  # before its type is changed
    settle_threads(device)
    result = measure_likelihood(
        pipe,
        data,
        captions=settings.captions,
        num_images=settings.limit,
        image_seed=settings.image_seed,
        variance=settings.variance,
        num_steps=settings.num_steps,
        spacing=settings.spacing,
        estimate=estimate,
        clip_denoised=settings.clip_denoised,
        seed=settings.seed,
        batch_size=settings.batch_size,
        dtype={"float32": torch.float32, "float64": torch.float64}[settings.dtype],
    )
    print_bounds(result, data.title)
    if advice := how_to_measure_all(result, len(data)):
        print(advice)
    if settings.plot:
        plot_bounds(settings.plot, result, data.title)
        print(f"plot: {settings.plot}")
    protocol = LikelihoodProtocol(
        model=model,
        data=data_protocol(data),
        image_seed=settings.image_seed,
        process=pipe.config.process,
        spacing=settings.spacing if settings.num_steps else None,
        seed=settings.seed,
        dtype=settings.dtype,
    )
    write_result(settings.json, protocol, result)
