"""A drawing under way, as the page shows it: the words and pictures for each event of its job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL.Image import Image

from textdiff.app.drawing import Drawn, Preview
from textdiff.app.engine import Engine
from textdiff.app.jobs import Cancelled, Failed, Waiting
from textdiff.app.page.history import drawn
from textdiff.app.page.markup import Figure, figures, notice, progress
from textdiff.app.request import DrawRequest

WAITING_FOR_MODEL = "Loading the model ..."


@dataclass
class Progress:
    """What was seen of a request so far."""

    engine: Engine
    request: DrawRequest
    previews: dict[int, Image] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def begin(self) -> str:
        """The words before the first event."""
        ready = any(
            state.name == self.request.model and state.state == "ready"
            for state in self.engine.models.states()
        )
        return notice("Starting ..." if ready else WAITING_FOR_MODEL, "busy")

    def words(self, event: object) -> str:
        """What to say of an event."""
        if isinstance(event, Waiting):
            others = f"{event.position} request{'s' if event.position > 1 else ''}"
            return notice(f"Waiting: {others} before yours.", "busy")
        if isinstance(event, Preview):
            return progress(f"Step {event.done} of {event.total}", event.done, event.total)
        if isinstance(event, Drawn):
            return notice(finished(self.request, event), "done")
        if isinstance(event, Cancelled):
            after = f" after step {self.done} of {self.total}" if self.done else " before it began"
            return notice(f"Stopped{after}.", "done")
        assert isinstance(event, Failed)
        return notice(f"Not drawn: {event.error}.", "error")

    def pictures(self, event: object) -> str | None:
        """What to show with it; None: what is shown may stay."""
        if isinstance(event, Drawn):
            return drawn(self.engine, event.ids)
        if not isinstance(event, Preview):
            return None
        self.done, self.total = event.done, event.total
        self.previews |= {event.first + k: each for k, each in enumerate(event.pictures)}
        return previews([self.previews[k] for k in sorted(self.previews)], self.request.prompt[0])


def previews(pictures: Sequence[Image], prompt: str) -> str:
    """Pictures that are not finished."""
    from textdiff.evaluation.report.images import data_uri

    items = [Figure(data_uri(each), f"preview of {prompt or 'a picture'}") for each in pictures]
    return figures(items, "previews", "large preview")


def finished(request: DrawRequest, event: Drawn) -> str:
    """How many, how fast, and of which seed."""
    count = len(event.pictures)
    seconds = f"{event.seconds:.1f}" if event.seconds < 100 else f"{event.seconds:.0f}"
    return f"{count} picture{'s' if count > 1 else ''} in {seconds} s, seed {request.seed}."
