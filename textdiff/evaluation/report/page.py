"""The page: a Report through a template, with its style inside.

Everything in a Report is escaped; what is not is this package's own template and style. The page
asks for nothing: pictures are data: URIs, curves are SVG, there is no script, and a policy in its
head forbids what is not that.
"""

from __future__ import annotations

from importlib.resources import files

from textdiff.evaluation.report import plot
from textdiff.evaluation.report.document import Report

TEMPLATE, STYLE = "page.html.jinja", "page.css"


def html(report: Report) -> str:
    """The whole file. Letters that no file can hold, such as half a surrogate pair, are written
    out."""
    import jinja2
    from markupsafe import Markup

    folder = files(__package__)
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
    )
    style = Markup(folder.joinpath(STYLE).read_text("utf-8"))  # a file of the package
    text = environment.get_template(TEMPLATE).render(report=report, style=style, box=plot)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
