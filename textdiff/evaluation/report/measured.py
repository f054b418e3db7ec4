"""What the weights of a run can do: the evaluations that apply to them.

model ── prompts of each split ──► pictures, once ──► composition, CLIPs, distribution
CLIP ── its splits ──► retrieval
VAE ── its splits ──► reconstructions
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.data import DataConfig
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.devices import pick_device
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.evaluators import involved_in, load_evaluators
from textdiff.evaluation.features.cache import open_cache
from textdiff.evaluation.features.cached import CachedFeatures, clip_features
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.named import load_extractor
from textdiff.evaluation.protocol import clip_protocol, data_protocol, model_protocol
from textdiff.evaluation.report.composition import composition
from textdiff.evaluation.report.distribution import Setting, distribution
from textdiff.evaluation.report.document import Missing, Notes, Part, Section
from textdiff.evaluation.report.drawn import draw_splits, open_splits
from textdiff.evaluation.report.following import following
from textdiff.evaluation.report.provenance import Measured, provenance
from textdiff.evaluation.report.retrieval import DEFAULT_SPLITS, retrieval
from textdiff.evaluation.report.run_files import RunFiles
from textdiff.evaluation.report.settings import ReportSettings
from textdiff.evaluation.report.vae import reconstructions
from textdiff.evaluation.vae.measure import vae_protocol
from textdiff.metrics.preparation import as_clip_sees
from textdiff.threads import settle_threads
from textdiff.vae import Vae

UNTRAINED = "Train on, or name another --run"
NO_DATA = "Name the images: --data SOURCE"


def measured(run: RunFiles, settings: ReportSettings) -> Iterator[Part]:
    """A part for each evaluation, the protocol last; what is missing where nothing applies."""
    match run.kind:
        case "text-to-image model":
            yield from of_model(run, settings)
        case "CLIP":
            yield from of_clip(run, settings)
        case "VAE":
            yield from of_vae(run, settings)
        case "noised CLIP":
            why = "what a noised CLIP recognises under noise has a command of its own"
            yield from nothing(run, settings, why, f"textdiff noised-clip --noised {settings.run}")
        case _:
            yield from nothing(run, settings, "the folder holds no weights yet", UNTRAINED)


def of_model(run: RunFiles, settings: ReportSettings) -> Iterator[Part]:
    device = pick_device(settings.device)
    try:
        pipe = TextToImage.load(run.folder, device)
    except CheckpointError as error:
        yield from nothing(run, settings, str(error), UNTRAINED)
        return
    config = data_for(settings)
    if isinstance(config, str):
        yield from nothing(run, settings, config, NO_DATA)
        return
    config = fit_data(config, pipe.config.image_size, f"--run {settings.run}")
    involved = involved_in(pipe, settings.run, settings)
    clips = load_evaluators("--judge", settings.judges, device, involved)
    cache = open_cache(settings.feature_cache, settings.data)
    judges = {
        name: CachedFeatures(ClipExtractor(name, clip), cache) for name, clip in clips.items()
    }
    own = CachedFeatures(ClipExtractor(f"{settings.run}/clip", pipe.clip), cache)
    by = next(iter(judges.values()), own)
    if settings.features:
        by = CachedFeatures(load_extractor(settings.features, device), cache)
    splits, notes = open_splits(config, settings.split)
    settle_threads(device)
    pictures = draw_splits(
        pipe,
        splits,
        settings,
        num_prompts=settings.num_prompts,
        num_images=settings.num_images,
        prompt_seed=settings.prompt_seed,
    )
    model = model_protocol(settings.run, pipe, settings)
    say("composition")
    yield with_notes(composition(pictures, settings.examples), notes)
    say("prompt following and CLIP score")
    yield following(judges, own, pictures, settings.examples)
    say("distribution and copies")
    setting = Setting(
        model=model,
        config=settings,
        prompt_seed=settings.prompt_seed,
        reference_split=settings.reference_split,
        limit=settings.limit,
        examples=settings.examples,
        involved=involved,
    )
    yield distribution(by, next(iter(pictures.values())), setting)
    what = Measured(
        model=model,
        clips=[clip_protocol(name, clip) for name, clip in clips.items()],
        data={split: data_protocol(each) for split, each in splits.items()},
        prompts={split: len(each.prompts) for split, each in pictures.items()},
    )
    yield provenance(settings, run, what)


def of_clip(run: RunFiles, settings: ReportSettings) -> Iterator[Part]:
    device = pick_device(settings.device)
    config = data_for(settings)
    if isinstance(config, str):
        yield from nothing(run, settings, config, NO_DATA)
        return
    clip = ClipModel.load(str(run.folder)).freeze().to(device)
    cache = open_cache(settings.feature_cache, settings.data)
    by = CachedFeatures(ClipExtractor(settings.run, clip), cache)
    splits, notes = open_splits(as_clip_sees(config, clip), settings.split or DEFAULT_SPLITS)
    settle_threads(device)
    say("retrieval")
    yield with_notes(retrieval(by, splits, settings.examples), notes)
    what = Measured(
        clips=[clip_protocol(settings.run, clip)],
        data={split: data_protocol(each) for split, each in splits.items()},
    )
    yield provenance(settings, run, what)


def of_vae(run: RunFiles, settings: ReportSettings) -> Iterator[Part]:
    device = pick_device(settings.device)
    config = data_for(settings)
    if isinstance(config, str):
        yield from nothing(run, settings, config, NO_DATA)
        return
    if "need_captions" not in settings.data.model_fields_set:
        config = config.model_copy(update={"need_captions": False})
    vae = Vae.load(run.folder, device)
    vae.latent_shape(config.image_size)
    clips = {name: ClipModel.load(name).freeze().to(device) for name in settings.judges}
    judges = {name: clip_features(clip, name) for name, clip in clips.items()}
    splits, notes = open_splits(config, settings.split or DEFAULT_SPLITS)
    settle_threads(device)
    say("reconstructions")
    part = reconstructions(vae, judges, splits, limit=settings.limit, examples=settings.examples)
    yield with_notes(part, notes)
    what = Measured(
        vae=vae_protocol(settings.run, vae),
        clips=[clip_protocol(name, clip) for name, clip in clips.items()],
        data={split: data_protocol(each) for split, each in splits.items()},
    )
    yield provenance(settings, run, what)


def data_for(settings: ReportSettings) -> DataConfig | str:
    """The data of the run; or why they are not known, in words, where nobody named any."""
    try:
        return data_of_run(settings.data, "--run", settings.run)
    except UsageError as error:
        if "source" in settings.data.model_fields_set:
            raise
        return str(error)


def nothing(run: RunFiles, settings: ReportSettings, why: str, remedy: str) -> Iterator[Part]:
    """That nothing was measured, and the protocol all the same."""
    lead = "What the weights can do, measured on pictures."
    missing = Missing("Measurements", why, remedy)
    yield Part(Section("measurements", "Measurements", lead, [missing]))
    yield provenance(settings, run, Measured())


def with_notes(part: Part, notes: Sequence[str]) -> Part:
    """The same with sentences below its blocks."""
    if not notes:
        return part
    blocks = [*part.section.blocks, Notes(list(notes))]
    return replace(part, section=replace(part.section, blocks=blocks))


def say(what: str) -> None:
    print(f"report: {what}", file=sys.stderr)
