"""Draw pictures of prompts: one PNG per picture, settings inside it, and a labelled grid.

With --from, the settings are those of a picture drawn before. File names come from the picture's
number and the seed, never from the prompt. In a folder with pictures numbers go on from the highest
there; nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from textdiff.config import build
from textdiff.errors import UsageError
from textdiff.evaluation.settings import Device
from textdiff.pipeline.config import SamplingConfig

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.pipeline.origin import Origin

# Settings that leave a picture as it is: with these alone, --from draws it to the bit.
SAME_PICTURE = frozenset({"from_picture", "out", "columns", "device", "graphs", "strict"})
OF_VAE = frozenset({"num_images", "seed", "first", "out", "columns", "device"})


class SampleSettings(SamplingConfig):
    """Drawing pictures."""

    model: str | None = Field(
        None, description="run folder or exported model; with --from: none is the picture's"
    )
    vae: str | None = Field(
        None,
        description="in place of a model: draw z ~ N(0, I) and decode it by this VAE (a run folder "
        "of train-vae, a folder of diffusers, or a hub name)",
    )
    prompt: list[str] = Field([], description="one or more prompts")
    prompt_file: str | None = Field(None, description="text file with one prompt per line")
    from_picture: str | None = Field(
        None,
        description="PNG of this command: alone it is drawn again, to the bit, with the batch it "
        "was part of; further flags change what they say",
    )
    num_images: int = Field(1, ge=1, description="pictures per prompt")
    first: int = Field(
        0, ge=0, description="number of the first picture; picture k of a seed alone: --first k"
    )
    init_image: str | None = Field(
        None, description="picture to start from: `strength` says how much of it is drawn anew"
    )
    mask: str | None = Field(
        None,
        description="picture of the init image's size: white is drawn anew, black is kept, and a "
        "pixel of the model's that white touches is drawn anew; on a transparent canvas what is "
        "painted is drawn anew in any colour, but for black beside brighter ones",
    )
    clip_image: str | None = Field(
        None, description="picture that CLIP guides towards in place of the prompt"
    )
    vary: str | None = Field(
        None, description="picture of which an unCLIP decoder draws variations"
    )
    vary_to: str | None = Field(None, description="picture that they go towards, by `share`")
    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (), description="one picture for each of these shares, all of the same noise"
    )
    out: str = Field("out", description="folder for the pictures; numbers go on from those there")
    columns: int = Field(8, ge=1, description="pictures per row of the grid")
    device: Device = "auto"


def run(settings: SampleSettings) -> None:
    """Load the model, draw, save.

    Raises:
        UsageError: no prompt; a mask of another size than its picture; a CLIP that cannot guide the
            model; a picture without settings, or one whose own pictures changed.
        BadImage: a picture that cannot be read.
        CheckpointError: no such model or CLIP, or with other weights than drew the picture.
    """
    from textdiff.data import to_pil
    from textdiff.devices import pick_device
    from textdiff.evaluation.protocol import model_protocol
    from textdiff.evaluation.results import to_json
    from textdiff.files import check_folder
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.origin import READERS, Origin, file_sha256, read_origin
    from textdiff.threads import settle_threads, threads_on

    if settings.vae is not None:
        draw_from_vae(settings, settings.vae)
        return
    given, origin = settings.model_fields_set, None
    if settings.from_picture is not None:
        origin = read_origin(settings.from_picture)
        settings = with_settings_of(settings, origin)
    if settings.model is None:
        raise UsageError("--model is required: give the flag or set 'model'")
    again = origin if given <= SAME_PICTURE else None  # to the bit
    prompts, rows, first = to_draw(settings, again)
    paths = {name: getattr(settings, name) for name in READERS}
    opened = {
        name: None if path is None else READERS[name]("--" + name.replace("_", "-"), path)
        for name, path in paths.items()
    }
    check_folder("--out", settings.out)
    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)
    if origin is not None and "model" not in given:
        origin.check_weights(pipe.unet, pipe.clip, pipe.vae)
    plans = [pipe.plan_from(prompts, each, first=first, **opened) for each in by_share(settings)]
    if again is not None:
        again.check_prior_weights(plans[0].prior_weights)
    settle_threads(device, again.threads if again else None)
    pictures = [each for plan in plans for each in to_pil(pipe.draw(plan, progress=True)[rows])]
    model = to_json(model_protocol(settings.model, pipe))
    hashes = {name: (path, file_sha256(path)) for name, path in paths.items() if path is not None}
    wanted, threads = range(len(prompts))[rows], threads_on(device)
    origins = [
        origin
        for plan in plans
        for origin in Origin.of_rows(plan, wanted, model=model, pictures=hashes, threads=threads)
    ]
    print(save(pictures, origins, Path(settings.out), settings.columns))


def draw_from_vae(settings: SampleSettings, vae: str) -> None:
    """Raises UsageError: a setting that is of text-to-image models."""
    from textdiff.commands.sample_vae import sample_vae

    others = sorted(settings.model_fields_set - OF_VAE - {"vae"})
    if others:
        raise UsageError(
            "--vae draws from N(0, I), with no prompt and no text-to-image model; leave out "
            f"{others[0]}"
        )
    values = {name: getattr(settings, name) for name in OF_VAE}
    sample_vae(vae, **{**values, "out": Path(settings.out)})


def with_settings_of(settings: SampleSettings, origin: Origin) -> SampleSettings:
    """What the picture was drawn with, and on top of it what `settings` sets.

    Raises:
        UsageError: what it was drawn with is not there any more, or does not go with `settings`.
    """
    explicit = settings.model_dump(exclude_unset=True)
    origin.check_pictures([name for name in origin.pictures if name not in explicit])
    if settings.clip_guidance.guide is None:
        origin.check_guide()
    if settings.selection.judge is None:
        origin.check_judge()
    if settings.unclip.prior is None:
        origin.check_prior()
    known = {
        **origin.settings(),
        "model": origin.model["name"],
        "first": origin.index,
        **{name: path for name, (path, _) in origin.pictures.items()},
    }
    if "prompt_file" not in explicit:
        known["prompt"] = [origin.prompt]
    where = f"--from {settings.from_picture}"
    return build(SampleSettings, [(where, known), ("flags", explicit)])


def by_share(settings: SampleSettings) -> list[SampleSettings]:
    """The settings for each of `shares`; as they are where there are none.

    Raises:
        UsageError: both share and shares.
    """
    if not settings.shares:
        return [settings]
    if settings.unclip.share is not None:
        raise UsageError("share and shares both say how far to go; leave one of them out")
    return [
        settings.model_copy(update={"unclip": settings.unclip.model_copy(update={"share": share})})
        for share in settings.shares
    ]


def to_draw(settings: SampleSettings, same: Origin | None) -> tuple[list[str], slice, int]:
    """Prompts, which of their pictures are wanted, and the number of the first.

    same: of the picture that is to be drawn again to the bit, which takes its whole batch.

    Raises:
        UsageError: no prompt.
    """
    from textdiff.data.prompts import read_prompts

    if same is not None:
        return list(same.batch), slice(same.row, same.row + 1), same.index - same.row
    if settings.vary and not settings.prompt and not settings.prompt_file:
        every = [""]  # the picture alone says what is drawn
    else:
        every = read_prompts(settings.prompt, settings.prompt_file)
    prompts = [prompt for prompt in every for _ in range(settings.num_images)]
    return prompts, slice(0, len(prompts)), settings.first


def save(pictures: Sequence[Image], origins: Sequence[Origin], out: Path, columns: int) -> str:
    """Writes each picture and a grid of all beside what `out` holds; says what is where."""
    from textdiff.data import labelled_grid
    from textdiff.data.picture_files import next_number, save_png
    from textdiff.files import replacing

    start = max(origins[0].index, next_number(out))
    for k, (picture, origin) in enumerate(zip(pictures, origins, strict=True)):
        path = out / f"{start + k:05d}-seed{origin.config.seed}.png"
        save_png(picture, path, origin.to_json())
    grid = out / "grid.png"
    if grid.exists():
        grid = out / f"grid-{start:05d}.png"
    with replacing(grid) as temporary:
        labelled_grid(pictures, [label_of(origin) for origin in origins], columns).save(temporary)
    count = f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''}"
    numbers = f" from number {start:05d}" if start else ""
    return f"{count}{numbers} and {grid.name} in {out}"


def label_of(origin: Origin) -> str:
    """What the grid says under a picture: its prompt, and how far it went."""
    share = origin.config.unclip.share
    return origin.prompt if share is None else f"{origin.prompt} {share:g}".strip()
