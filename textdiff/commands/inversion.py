"""DDIM inversion: pictures to noise and back, and how far off they come out.

    picture ── invert, N steps ──► noise ── DDIM, the same N steps ──► picture again

The caption of each picture is its prompt, and an unCLIP decoder sees the picture's own embedding.
Guidance is off (scale 1.0) and x_0_hat is not clipped: with either, the way back would not undo the
way there.

The table also shows the standard deviation of the noise. It stays below 1 for real pictures: in
flat areas inversion leaves less noise than N(0, I) has.
"""

from __future__ import annotations

from textdiff.evaluation.inversion.settings import InversionSettings


def run(settings: InversionSettings) -> None:
    """Load, invert, draw again, compare.

    Raises:
        UsageError: more steps than the schedule has, data of another size than the model's, or a
            binary model.
    """
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.errors import UsageError
    from textdiff.evaluation.inversion.measure import grids_of, result_of, there_and_back
    from textdiff.evaluation.inversion.result import InversionProtocol
    from textdiff.evaluation.inversion.sheet import save_sheet
    from textdiff.evaluation.inversion.table import print_round_trips
    from textdiff.evaluation.pictures import real_pictures
    from textdiff.evaluation.protocol import data_protocol, model_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)
    if pipe.config.process != "gaussian":
        raise UsageError(
            f"--model {settings.model}: a binary model has no DDIM, whose inversion this is; "
            "give a model of process gaussian"
        )
    config = data_of_run(settings.data, "--model", settings.model)
    config = fit_data(config, pipe.config.image_size, f"--model {settings.model}")
    data = open_data(config, settings.split)
    grids = grids_of(pipe.schedule, settings.num_steps, settings.spacing)
    real = real_pictures(data, settings.limit, settings.image_seed, pipe)
    settle_threads(device)
    inversions = [there_and_back(pipe, real, grid, settings.batch_size) for grid in grids.values()]
    result = result_of(real, inversions)
    print_round_trips(result, data.title)
    if settings.grid:
        save_sheet(settings.grid, pipe.codec, real, inversions, settings.grid_pictures)
        print(f"pictures: {settings.grid}")
    protocol = InversionProtocol(
        picture_seed=settings.image_seed,
        spacing=settings.spacing,
        model=model_protocol(settings.model, pipe),
        data=data_protocol(data),
    )
    write_result(settings.json, protocol, result)
