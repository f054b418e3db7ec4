"""The page's own HTML: every text in it is escaped, since prompts and captions come from anybody.

Figure(source, alt, caption ...) ──► figures ──► <ul> of pictures, each a button where it leads
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from textdiff.data.text import shown

CAPTION_LETTERS = 120
ALT_LETTERS = 200


@dataclass(frozen=True)
class Figure:
    """A picture with what is said of it.

    source: address, of this server or a data: URI. alt: for those who do not see it.
    badge: a number beside the caption. key: what a click on the picture tells; empty: it leads
    nowhere. actions: (key, label) of further buttons.
    """

    source: str
    alt: str
    caption: str = ""
    badge: str = ""
    key: str = ""
    actions: Sequence[tuple[str, str]] = ()


def image(source: str, alt: str) -> Markup:
    """alt: any text."""
    words = shown(alt, ALT_LETTERS) or "a picture without a caption"
    return Markup('<img src="{}" alt="{}" loading="lazy" decoding="async">').format(source, words)


def button(key: str, label: str | Markup, title: str = "", kind: str = "") -> Markup:
    """Of the page's own HTML; a click tells `key`."""
    return Markup('<button type="button" class="{}" data-key="{}" title="{}">{}</button>').format(
        kind, key, shown(title, ALT_LETTERS), label
    )


def figure(item: Figure) -> Markup:
    """One of a list."""
    picture: Markup = image(item.source, item.alt)
    if item.key:
        picture = button(item.key, picture, item.alt, "picture")
    badge = Markup('<span class="badge">{}</span> ').format(item.badge) if item.badge else Markup()
    actions = Markup(" ").join(button(key, label, kind="link") for key, label in item.actions)
    return Markup("<li><figure>{}<figcaption>{}{} {}</figcaption></figure></li>").format(
        picture, badge, shown(item.caption, CAPTION_LETTERS), actions
    )


def figures(items: Iterable[Figure], label: str, kind: str = "") -> str:
    """A list of pictures. label: what they are, for those who do not see them."""
    inside = Markup("").join(map(figure, items))
    return Markup('<ul class="figures {}" aria-label="{}">{}</ul>').format(kind, label, inside)


def notice(text: str, kind: Literal["quiet", "busy", "done", "error"] = "quiet") -> str:
    """One line of what goes on. Screen readers say it; an error at once."""
    role = "alert" if kind == "error" else "status"
    return Markup('<p class="notice {}" role="{}">{}</p>').format(kind, role, text)


def progress(text: str, done: int, total: int) -> str:
    """A line with a bar."""
    bar = Markup('<progress value="{}" max="{}" aria-label="{}"></progress>')
    return Markup('<p class="notice busy" role="status">{}</p>{}').format(
        text, bar.format(done, total, text)
    )


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Names and values."""
    row = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    inside = Markup("").join(row.format(name, value) for name, value in pairs)
    return Markup('<dl class="facts">{}</dl>').format(inside)


def download(source: str, name: str, label: str) -> Markup:
    """A link that saves what `source` names as a file."""
    return Markup('<a class="download" href="{}" download="{}">{}</a>').format(source, name, label)
