"""The page: a Report through a template, with its style inside; or some blocks by themselves.

Everything in a Report is escaped; what is not is this package's own template and style. The page
asks for nothing: pictures are data: URIs, curves are SVG, there is no script, and a policy in its
head forbids what is not that.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from textdiff.evaluation.report import plot

if TYPE_CHECKING:
    from textdiff.evaluation.report.document import Block, Report

TEMPLATE, BLOCKS = "page.html.jinja", "fragment.html.jinja"
STYLE, BLOCKS_STYLE = "page.css", "blocks.css"


def html(report: Report) -> str:
    """The whole file. Letters that no file can hold, such as half a surrogate pair, are written
    out."""
    from markupsafe import Markup

    style = Markup(_text_of(STYLE) + _text_of(BLOCKS_STYLE))  # files of the package
    return _rendered(TEMPLATE, report=report, style=style)


def fragment(blocks: Sequence[Block]) -> str:
    """The blocks as a part of another page, which styles them by `fragment_style`."""
    return _rendered(BLOCKS, blocks=blocks)


def fragment_style(inside: str) -> str:
    """The style of blocks within what the selector `inside` names, which is to set the colours:
    --paper, --panel, --ink, --quiet, --rule, --accent, --soft, --warn, --warn-paper, --c0 to --c5.
    """
    return f"{inside} {{\n{_text_of(BLOCKS_STYLE)}}}\n"


def _rendered(template: str, **values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_text_of),
    )
    environment.globals["box"] = plot
    text = environment.get_template(template).render(**values)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text_of(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
