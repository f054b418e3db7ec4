"""CLIP score (arXiv 2104.08718): mean of weight x max(cos(image, caption), 0).

Of a model on the captions of a data split, beside the real pictures; or of a folder of captioned
images as it is.
"""

from __future__ import annotations

from textdiff.evaluation.clip_score.settings import ClipScoreSettings


def run(settings: ClipScoreSettings) -> None:
    """Load, draw if there is a model, score, show."""
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.drawn import is_drawn
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.clip_score.measure import (
        ClipScoreProtocol,
        measure_clip_score,
        print_scores,
    )
    from textdiff.evaluation.pictures import captioned_pictures, draw_pictures, real_pictures
    from textdiff.evaluation.protocol import (
        clip_protocol,
        data_protocol,
        model_protocol,
        sampling_protocol,
    )
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    device = pick_device(settings.device)
    if settings.model is None:
        assert settings.judge is not None  # the settings' own check
        clip = ClipModel.load(settings.judge)
        assert settings.images is not None
        kind = "drawn" if is_drawn(settings.images) else "folder"
        folder = settings.data.model_copy(update={"source": settings.images, "kind": kind})
        data = open_data(as_clip_sees(folder, clip), "all")
        settle_threads(device)
        pictures, model = {"given": captioned_pictures(data)}, None
    else:
        pipe = TextToImage.load(settings.model, device)
        config = data_of_run(settings.data, "--model", settings.model)
        config = fit_data(config, pipe.config.unet.image_size, f"--model {settings.model}")
        data = open_data(config, settings.split)
        clip = ClipModel.load(settings.judge) if settings.judge else pipe.clip
        real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
        settle_threads(device)
        pictures = {"drawn": draw_pictures(pipe, real.prompts, settings), "real": real}
        model = model_protocol(settings.model, pipe)
    result = measure_clip_score(clip.freeze().to(device), pictures, settings.weight)
    print_scores(result, data.title)
    protocol = ClipScoreProtocol(
        model=model,
        clip=clip_protocol(settings.judge or f"{settings.model}/clip", clip),
        data=data_protocol(data),
        prompt_seed=settings.prompt_seed,
        sampling=sampling_protocol(settings) if model else None,
    )
    write_result(settings.json, protocol, result)
