"""Drawn pictures as the page shows them: the list of all, and one with its settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from textdiff.app.engine import Engine
from textdiff.app.gallery import Gallery
from textdiff.app.page.markup import Figure, download, facts, figures, image, notice
from textdiff.app.uploads import ID as UPLOAD_ID
from textdiff.data.config import DataConfig
from textdiff.errors import TextdiffError
from textdiff.pipeline.config import SamplingConfig, flat_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.pipeline.origin import Origin

PAGE = 24  # pictures that are shown at first, and more with each click
REMEMBERED = 4096
ALWAYS = ("seed", "sampler", "num_steps", "guidance_scale")  # said though at their default


def address(picture_id: str) -> str:
    """Where the PNG is, with its settings."""
    return f"api/pictures/{picture_id}.png"


@lru_cache(REMEMBERED)
def origin_of(gallery: Gallery, picture_id: str) -> Origin | None:
    """None: its settings are damaged. A picture never changes. Raises NoPictureError."""
    from textdiff.pipeline.origin import origin_in

    data = gallery.png(picture_id)
    try:
        return origin_in(data, f"picture {picture_id}")
    except TextdiffError:
        return None


def open_picture(engine: Engine, picture_id: str) -> Image:
    """Of the gallery, or an upload. Raises DataError: none has this id."""
    from textdiff.data.decode import open_image

    is_upload = UPLOAD_ID.fullmatch(picture_id)
    data = engine.uploads.path(picture_id) if is_upload else engine.gallery.png(picture_id)
    return open_image(data, DataConfig())


def figure_of(engine: Engine, picture_id: str) -> Figure:
    """With its prompt. Raises NoPictureError."""
    origin = origin_of(engine.gallery, picture_id)
    prompt = origin.prompt if origin else "its settings are damaged"
    alt = prompt or "drawn without a prompt"
    return Figure(address(picture_id), alt, prompt or "(no prompt)", key=picture_id)


def drawn(engine: Engine, picture_ids: Iterable[str]) -> str:
    """The pictures of one request."""
    return figures([figure_of(engine, each) for each in picture_ids], "drawn pictures", "large")


def history(engine: Engine, most: int) -> str:
    """The newest of all, and a link to have all of them."""
    every = engine.gallery.list()
    if not every:
        return notice("Nothing drawn yet. What is drawn stays here, also after a restart.")
    items = []
    for picture_id in every[:most]:
        try:
            items.append(figure_of(engine, picture_id))
        except TextdiffError:  # deleted in another window just now
            continue
    count = f"{len(every)} picture{'s' if len(every) > 1 else ''}, the newest first. "
    return Markup("<p class='notice quiet'>{}{}</p>{}").format(
        count,
        download("api/pictures.zip", "pictures.zip", "Download all with their settings (zip)"),
        Markup(figures(items, "gallery")),
    )


def settings_shown(origin: Origin) -> list[tuple[str, Any]]:
    """What tells the picture from one with default settings."""
    mine, default = flat_settings(origin.config), flat_settings(SamplingConfig())
    kept = {name: value for name, value in mine.items() if name in ALWAYS or value != default[name]}
    model, step = origin.model.get("name"), origin.model.get("step")
    return [
        ("prompt", origin.prompt or "(empty)"),
        *((name.replace("_", " "), mine[name]) for name in ALWAYS),
        ("picture of the seed", origin.index),
        *((name.replace("_", " "), kept[name]) for name in kept if name not in ALWAYS),
        ("model", f"{model}" if step is None else f"{model}, step {step:,}"),
    ]


def one(engine: Engine, picture_id: str) -> str:
    """A picture, large, with its settings and a link to the file. Raises NoPictureError."""
    origin, source = origin_of(engine.gallery, picture_id), address(picture_id)
    prompt = origin.prompt if origin else ""
    rows: Sequence[tuple[str, Any]] = settings_shown(origin) if origin else ()
    return Markup('<div class="one">{}<div>{}<p>{}</p></div></div>').format(
        image(source, prompt or "the chosen picture"),
        facts(rows),
        download(source, f"{picture_id}.png", "Download PNG with its settings"),
    )
