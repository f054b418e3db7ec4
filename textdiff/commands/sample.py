"""Draw pictures of prompts: one PNG per picture, settings inside it, and a labelled grid.

File names come from the picture's number and the seed, never from the prompt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from textdiff.devices import pick_device
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig, sampling_only

if TYPE_CHECKING:
    from PIL.Image import Image


class SampleSettings(SamplingConfig):
    """Drawing pictures."""

    model: str = Field(description="run folder or exported model")
    prompt: list[str] = Field([], description="one or more prompts")
    prompt_file: str | None = Field(None, description="text file with one prompt per line")
    num_images: int = Field(1, ge=1, description="pictures per prompt")
    init_image: str | None = Field(
        None, description="picture to start from: `strength` says how much of it is drawn anew"
    )
    mask: str | None = Field(
        None, description="picture of the init image's size: white is drawn anew, black is kept"
    )
    clip_image: str | None = Field(
        None, description="picture that CLIP guides towards in place of the prompt"
    )
    out: str = Field("out", description="folder for the pictures")
    columns: int = Field(8, ge=1, description="pictures per row of the grid")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")


def run(settings: SampleSettings) -> None:
    """Load the model, draw, save.

    Raises:
        UsageError: no prompt, or one that is too long; a mask of another size than its picture; a
            CLIP that cannot guide the model.
        BadImage: a picture that cannot be read. CheckpointError: no such model or CLIP.
    """
    from textdiff.data.grid import labelled_grid
    from textdiff.evaluation.report import describe_model
    from textdiff.files import check_folder, replacing
    from textdiff.pipeline import TextToImage

    prompts = read_prompts(settings)
    given = {
        name: read_picture("--" + name.replace("_", "-"), getattr(settings, name))
        for name in ("init_image", "mask", "clip_image")
    }
    check_folder("--out", settings.out)
    pipe = TextToImage.load(settings.model, pick_device(settings.device))
    wanted = [prompt for prompt in prompts for _ in range(settings.num_images)]
    pictures = draw(pipe, wanted, settings, **given)
    out, model = Path(settings.out), describe_model(settings.model, pipe)
    origin = {**{name: getattr(settings, name) for name in given}, "model": model}
    guide = pipe.guide(settings)
    if guide is not None:
        origin["clip_guide_weights"] = guide.weights_hash()
    for k, (prompt, picture) in enumerate(zip(wanted, pictures, strict=True)):
        name = f"{k:05d}-seed{settings.seed}.png"
        save_png(
            picture,
            out / name,
            {
                "prompt": prompt,
                "index": k,
                **sampling_only(settings).model_dump(mode="json"),
                **origin,
            },
        )
    grid = labelled_grid(pictures, wanted, columns=min(settings.columns, len(pictures)))
    with replacing(out / "grid.png") as temporary:
        grid.save(temporary)
    count = f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''}"
    print(f"{count} and grid.png in {out}")


def read_prompts(settings: SampleSettings) -> list[str]:
    """Prompts of the flags, then of the file; empty lines of the file are skipped."""
    prompts = list(settings.prompt)
    if settings.prompt_file:
        try:
            text = Path(settings.prompt_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"prompt file {settings.prompt_file}: {error}") from None
        prompts += [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise UsageError('no prompt; give --prompt "a red apple" or --prompt-file FILE')
    return prompts


def read_picture(flag: str, path: str | None) -> Image | None:
    """The picture that a flag names, through the data room's guard.

    Raises:
        UsageError: no such file. BadImage: one that cannot be used.
    """
    from textdiff.data.config import DataConfig
    from textdiff.data.decode import BadImage, open_image

    if path is None:
        return None
    if not Path(path).is_file():
        raise UsageError(f"{flag} {path}: no such file")
    try:
        return open_image(path, DataConfig())
    except BadImage as error:
        raise BadImage(error.reason, f"{flag} {path}") from None


def draw(pipe: Any, prompts: list[str], settings: SamplingConfig, **given: Any) -> list[Image]:
    """One picture per prompt, with a progress bar. given: `init_image`, `mask` and `clip_image`, if
    any."""
    from textdiff.data.grid import to_pil
    from textdiff.pipeline.init import Init, square_picture

    size, towards = pipe.config.unet.image_size, given.get("clip_image")
    plan = pipe.plan(
        prompts,
        settings,
        init=Init.from_pictures(
            given.get("init_image"), given.get("mask"), settings.strength, size
        ),
        clip_image=None if towards is None else square_picture("clip_image", towards, size),
    )
    return to_pil(pipe.draw(plan, progress=True))


def save_png(picture: Image, path: Path, metadata: dict[str, Any]) -> None:
    """A PNG with text chunks `prompt` and `textdiff` (all of `metadata` as JSON)."""
    from PIL.PngImagePlugin import PngInfo

    from textdiff.files import replacing

    info = PngInfo()
    info.add_itxt("prompt", metadata["prompt"])
    info.add_itxt("textdiff", json.dumps(metadata, ensure_ascii=False))
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=info)
