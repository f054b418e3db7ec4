"""A page in the browser, and a JSON API: draw, search, compare, and look at a run.

The page asks for nothing beyond this machine. Only this machine reaches it unless --host says
otherwise; then it takes a token.
"""

from __future__ import annotations

from textdiff.app.settings import UiSettings
from textdiff.errors import require_extra


def run(settings: UiSettings) -> None:
    """Serves until Ctrl-C.

    Raises:
        UsageError: a package is missing, or the address cannot be listened at. CheckpointError: no
            model in a folder.
    """
    require_extra("ui", "textdiff ui")
    from textdiff.app.server import serve

    serve(settings)
