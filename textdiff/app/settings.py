"""Settings of `textdiff ui`: what it serves, to whom, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.evaluation.settings import Device

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PICTURES_PER_REQUEST = 3  # init image, mask, and the picture that CLIP guides towards
JSON_ROOM = 1 << 20  # bytes of a request beside its pictures


class Limits(Settings):
    """The most that one request may ask for, and all of them together."""

    images: int = Field(16, ge=1, description="pictures of one request")
    steps: int = Field(250, ge=1, description="denoising steps")
    candidates: int = Field(16, ge=1, description="best_of, candidates for a picture")
    cutouts: int = Field(64, ge=0, description="clip_cutouts, views of a picture that CLIP sees")
    prompt_length: int = Field(1000, ge=1, description="letters of a prompt")
    upload_side: int = Field(4096, ge=8, description="width and height of an uploaded picture")
    upload_bytes: int = Field(16 << 20, ge=1024, description="size of an uploaded picture's file")
    uploads: int = Field(256, ge=1, description="uploaded pictures kept; older ones go")
    queue: int = Field(16, ge=1, description="requests that wait at once; one more is refused")
    results: int = Field(200, ge=1, description="pictures that a search shows")
    cells: int = Field(64, ge=1, description="cells of a grid that compares settings")

    @property
    def body_bytes(self) -> int:
        """Of a whole request: its pictures in base64, and room for the rest."""
        return PICTURES_PER_REQUEST * (self.upload_bytes * 4 // 3) + JSON_ROOM


class UiSettings(Settings):
    """A page and a JSON API for models, indexes and runs."""

    short_names: ClassVar[Mapping[str, str]] = {
        "max_images": "limits.images",
        "max_steps": "limits.steps",
        "max_queue": "limits.queue",
    }

    model: list[str] = Field([], description="run folders or exported models that draw")
    index: list[str] = Field([], description="folders of 'textdiff index' that are searched")
    judge: list[str] = Field([], description="CLIPs that may choose among candidates, and score")
    guide: list[str] = Field([], description="CLIPs or noised CLIPs that may guide")
    run: list[str] = Field([], description="run folders whose training is shown, live")
    gallery: str = Field("gallery", description="folder for drawn pictures; what is there is shown")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen at; any but this machine's own needs a token",
    )
    port: int = Field(7860, ge=0, le=65535, description="0: any that is free")
    token: str | None = Field(
        None,
        min_length=8,
        pattern=r"^[\w.~-]+$",
        description="what clients must give; none: nothing on this machine alone, else a fresh one",
    )
    host_names: list[str] = Field(
        [], description="further names that this server is asked for by, such as a proxy's"
    )
    limits: Limits = Limits()
    model_memory: float = Field(
        2.0, ge=0, description="GB of weights of models that stay loaded beside the one in use"
    )
    device: Device = "auto"

    @model_validator(mode="after")
    def _check(self) -> UiSettings:
        if not (self.model or self.index or self.run):
            raise ValueError("nothing to show; give --model, --index or --run")
        for name in ("model", "index", "judge", "guide", "run"):
            names: list[str] = getattr(self, name)
            twice = [each for each in names if names.count(each) > 1]
            if twice:
                raise ValueError(f"{name} names {twice[0]} twice; leave one out")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK or self.host.startswith("127.")
