"""An HTML file read by the standard library: what it refers to, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# attributes by which a browser would fetch something
FETCHED = ("src", "srcset", "href", "data", "poster", "background", "action", "xlink:href")


@dataclass
class Page(HTMLParser):
    """tags: (name, attributes), in order. texts: what stands between them, style left out."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag, attrs) -> None:
        self.inside = tag
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag) -> None:
        self.inside = ""

    def handle_data(self, data) -> None:
        if self.inside != "style":
            self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        """Attributes of each element of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}

    @property
    def references(self) -> list[str]:
        """Of everything that could be fetched."""
        return [
            attributes[name]
            for _, attributes in self.tags
            for name in FETCHED
            if name in attributes
        ]


def faults(html: str) -> list[str]:
    """What keeps a page from being one file that shows all it has: a line each."""
    page = Page.of(html)
    found = [
        f"fetches {reference[:60]}"
        for reference in page.references
        if not reference.startswith(("data:image/", "#"))
    ]
    found += [f"<{tag}>" for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    found += [f"{tag} has {name}" for tag, a in page.tags for name in a if name.startswith("on")]
    found += ["a picture without alt" for image in page.named("img") if not image.get("alt")]
    found += ["an svg without a name" for svg in page.named("svg") if not named(svg)]
    anchors = [a["href"] for a in page.named("a")]
    found += [f"{anchor} leads nowhere" for anchor in anchors if anchor[1:] not in page.ids]
    if len(page.named("h1")) != 1:
        found.append(f"{len(page.named('h1'))} h1")
    if "url(" in html or "@import" in html:
        found.append("style that fetches")
    return found


def named(svg: dict[str, str]) -> bool:
    return bool(svg.get("aria-label")) or svg.get("aria-hidden") == "true"
