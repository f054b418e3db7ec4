"""unCLIP compared: from which embedding a decoder draws best, beside a model without one.

Every route draws the same prompts from the same noise: a model that draws from text alone, the
decoder from the prompt's own embedding, from what each prior makes of it, and, as a ceiling, from
the embedding of the real picture. Measured are what pictures of scenes show, R@1 and KID by CLIPs
that took no part, diversity among pictures of a prompt, and time; differences are in pairs.
"""

from __future__ import annotations

from textdiff.evaluation.unclip.settings import UnclipEvalSettings


def run(settings: UnclipEvalSettings) -> None:
    """Load, draw, measure, show.

    Raises:
        UsageError: a decoder that is none, a model that is one, a prior of another CLIP, a judge
            that took part, one prompt. CheckpointError: no model or prior there.
    """
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.composition.reading import reader_protocol
    from textdiff.evaluation.evaluators import involved_in, load_evaluators
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.held_out.draw import check_prompts
    from textdiff.evaluation.held_out.protocol import ReferenceProtocol, prompt_protocol
    from textdiff.evaluation.held_out.references import reference_pictures
    from textdiff.evaluation.pictures import real_pictures
    from textdiff.evaluation.prior.measure import prior_protocol
    from textdiff.evaluation.protocol import (
        clip_protocol,
        data_protocol,
        device_name,
        model_protocol,
        sampling_protocol,
    )
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.unclip.result import UnclipProtocol
    from textdiff.evaluation.unclip.routes import load_decoder, load_model, prior_names
    from textdiff.evaluation.unclip.run import compare_routes, facts_of, save_sheet
    from textdiff.evaluation.unclip.table import print_routes
    from textdiff.files import check_file
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    device = pick_device(settings.device)
    decoder = load_decoder(settings.decoder, device)
    involved = involved_in(decoder, settings.decoder, settings)
    priors = {folder: decoder.unclip.prior(folder) for folder in settings.priors}
    model = None
    if settings.model is not None:
        model = load_model(settings.model, decoder, device)
        involved = {**involved_in(model, settings.model, settings), **involved}
    judges = load_evaluators("--judges", settings.judges, device, involved)
    source = data_of_run(settings.data, "--decoder", settings.decoder)
    source = fit_data(source, decoder.config.image_size, f"--decoder {settings.decoder}")
    data = open_data(source, settings.split)
    others = open_data(source, settings.reference_split)
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, decoder)
    check_prompts(real.prompts, data)
    reference = reference_pictures(others, real.prompts, settings.prompt_seed, settings.limit)
    facts = facts_of(data, real.prompts)
    settle_threads(device)
    compared = compare_routes(
        decoder,
        real,
        settings,
        model=model,
        priors=settings.priors,
        judges=judges,
        reference=reference,
        facts=facts,
        num_images=settings.num_images,
        cache=open_cache(settings.feature_cache, settings.data),
    )
    names = prior_names({folder: prior.config.kind for folder, prior in priors.items()})
    protocol = UnclipProtocol(
        decoder=model_protocol(settings.decoder, decoder),
        priors={names[folder]: prior_protocol(folder, prior) for folder, prior in priors.items()},
        model=model_protocol(settings.model, model) if settings.model and model else None,
        judges=[clip_protocol(name, clip) for name, clip in judges.items()],
        data=data_protocol(data),
        prompts=prompt_protocol(real.prompts, settings.prompt_seed, settings.num_images, judges),
        reference=ReferenceProtocol(others.split, len(reference)),
        reader=None if facts is None else reader_protocol(facts.reader),
        sampling=sampling_protocol(settings),
        device=device_name(decoder.device),
    )
    print_routes(compared.result, protocol)
    if settings.grid:
        save_sheet(settings.grid, compared, real, settings.num_images, settings.grid_pictures)
    write_result(settings.json, protocol, compared.result)
