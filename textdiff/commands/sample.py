"""Draw pictures of prompts: one PNG per picture, settings inside it, and a labelled grid.

File names come from the picture's number and the seed, never from the prompt.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from textdiff.evaluation.settings import Device, Model
from textdiff.pipeline.config import SamplingConfig


class SampleSettings(SamplingConfig):
    """Drawing pictures."""

    model: Model
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
    device: Device = "auto"


def run(settings: SampleSettings) -> None:
    """Load the model, draw, save.

    Raises:
        UsageError: no prompt, or one that is too long; a mask of another size than its picture; a
            CLIP that cannot guide the model.
        BadImage: a picture that cannot be read. CheckpointError: no such model or CLIP.
    """
    from textdiff.data import labelled_grid, to_pil
    from textdiff.data.picture_files import read_picture, save_png
    from textdiff.data.prompts import read_prompts
    from textdiff.devices import pick_device
    from textdiff.evaluation.protocol import model_protocol, sampling_protocol
    from textdiff.evaluation.results import to_json
    from textdiff.files import check_folder, replacing
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.init import Init, square_picture

    prompts = read_prompts(settings.prompt, settings.prompt_file)
    paths = {name: getattr(settings, name) for name in ("init_image", "mask", "clip_image")}
    init_image, mask, clip_image = (
        None if path is None else read_picture("--" + name.replace("_", "-"), path)
        for name, path in paths.items()
    )
    check_folder("--out", settings.out)
    pipe = TextToImage.load(settings.model, pick_device(settings.device))
    size = pipe.config.unet.image_size
    plan = pipe.plan(
        [prompt for prompt in prompts for _ in range(settings.num_images)],
        settings,
        init=Init.from_pictures(init_image, mask, settings.strength, size),
        clip_image=None if clip_image is None else square_picture("clip_image", clip_image, size),
    )
    pictures = to_pil(pipe.draw(plan, progress=True))
    origin = {**sampling_protocol(settings), **paths}
    origin["model"] = to_json(model_protocol(settings.model, pipe))
    if plan.guide is not None:
        origin["clip_guide_weights"] = plan.guide.weights_hash()
    out = Path(settings.out)
    for k, (prompt, picture) in enumerate(zip(plan.prompts, pictures, strict=True)):
        path = out / f"{k:05d}-seed{settings.seed}.png"
        save_png(picture, path, {"prompt": prompt, "index": k, **origin})
    with replacing(out / "grid.png") as temporary:
        labelled_grid(pictures, plan.prompts, settings.columns).save(temporary)
    count = f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''}"
    print(f"{count} and grid.png in {out}")
