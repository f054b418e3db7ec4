"""The models and CLIPs that the server was started with, loaded when they are needed.

    name, step ── Models.get ──► TextToImage, in memory until others need the room
    name ── Clips.get ──► CLIP or noised CLIP

A name is what was typed at the start; no other can be asked for, so that no request opens a path.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textdiff import checkpoint
from textdiff.errors import CheckpointError, TextdiffError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from textdiff import TextToImage
    from textdiff.clip import ClipModel, NoisedClip

BYTES_PER_GB = 1e9
MODEL_FILE = "model.yaml"  # as pipeline.loading has it, which loads torch


@dataclass(frozen=True)
class ModelState:
    """What may be shown of a model before it is loaded.

    steps: of the checkpoints that a run keeps, the newest first; none of an exported model.
    image_size: of its pictures; None until it was loaded once.
    error: why it could not be loaded, in words.
    """

    name: str
    state: Literal["waiting", "loading", "ready", "failed"]
    steps: tuple[int, ...]
    image_size: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    protocol: name, step and hashes, as a picture's settings hold them.
    """

    pipe: TextToImage
    protocol: dict[str, Any]
    bytes: int


class Models:
    """Models by the names that they were given by; any thread may ask.

    memory: GB of weights that stay loaded beside the model in use; those used last stay.
    device: as the commands' --device.

    Raises:
        CheckpointError: a folder that holds no model.
    """

    def __init__(self, names: Sequence[str], device: str = "auto", memory: float = 2.0) -> None:
        for name in names:
            _check_folder(name)
        self._names, self._device, self._memory = list(names), device, memory
        self._lock = threading.RLock()
        self._loaded: OrderedDict[tuple[str, int | None], Loaded] = OrderedDict()
        self._loading: str | None = None
        self._sizes: dict[str, int] = {}
        self._errors: dict[str, str] = {}

    def names(self) -> list[str]:
        """In the order in which they were given."""
        return list(self._names)

    def states(self) -> list[ModelState]:
        """One per name. Does not wait for a model that is being loaded."""
        return [self._state(name) for name in self._names]

    def steps(self, name: str) -> list[int]:
        """Of the checkpoints that a run keeps now, the newest first; none of an exported model.

        Raises:
            UsageError: a name that is not known.
        """
        self.check(name)
        return list(checkpoint.steps_of(_folder(name) / "checkpoints"))

    def check(self, name: str) -> None:
        """Raises UsageError for a name that is not known."""
        if name not in self._names:
            known = ", ".join(self._names) or "none"
            raise UsageError(f"model '{name:.80}' is not one that this server has: {known}")

    def get(self, name: str, step: int | None = None) -> TextToImage:
        """The model, loaded if it is not in memory, which may take seconds.

        step: of a run's checkpoint; None: the newest.

        Raises:
            UsageError: a name that is not known. CheckpointError: weights that cannot be used.
        """
        return self.loaded(name, step).pipe

    def loaded(self, name: str, step: int | None = None) -> Loaded:
        """As `get`, with what pictures say of the model."""
        newest = next(iter(self.steps(name)), None)  # a run that trains has newer ones by now
        key = name, newest if step is None else step
        with self._lock:
            if key not in self._loaded:
                loaded = self._load(name, step)
                self._make_room()
                self._loaded[key] = loaded
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _load(self, name: str, step: int | None) -> Loaded:
        from textdiff import TextToImage
        from textdiff.evaluation.protocol import model_protocol
        from textdiff.evaluation.results import to_json

        self._loading = name
        try:
            pipe = TextToImage.load(name, self._device, step)
            protocol = to_json(model_protocol(name, pipe))
        except TextdiffError as error:
            self._errors[name] = " ".join(str(error).split())
            raise
        finally:
            self._loading = None
        self._errors.pop(name, None)
        self._sizes[name] = pipe.config.image_size
        networks = [pipe.unet, pipe.clip, *([pipe.vae.network] if pipe.vae else [])]
        return Loaded(pipe, protocol, sum(map(_bytes, networks)))

    def _make_room(self) -> None:
        """Drops those used longest ago until the rest fits."""
        room = self._memory * BYTES_PER_GB
        while sum(each.bytes for each in self._loaded.values()) > room:
            self._loaded.popitem(last=False)

    def _state(self, name: str) -> ModelState:
        loaded = any(key == name for key, _ in list(self._loaded))
        error = self._errors.get(name)
        state: Literal["waiting", "loading", "ready", "failed"] = "waiting"
        if self._loading == name:
            state = "loading"
        elif loaded:
            state = "ready"
        elif error is not None:
            state = "failed"
        return ModelState(name, state, tuple(self.steps(name)), self._sizes.get(name), error)


class Clips:
    """CLIPs by the names that they were given by, each loaded once."""

    def __init__(self, names: Sequence[str], device: str = "auto") -> None:
        self._names, self.device = list(dict.fromkeys(names)), device
        self._lock = threading.Lock()
        self._loaded: dict[str, ClipModel | NoisedClip] = {}

    def names(self) -> list[str]:
        """In the order in which they were given."""
        return list(self._names)

    def check(self, what: str, name: str) -> None:
        """Raises UsageError for a name that is not known; `what` it is for."""
        if name not in self._names:
            known = ", ".join(self._names) or "none"
            raise UsageError(f"{what} '{name:.80}' is not one that this server has: {known}")

    def get(self, name: str) -> ClipModel | NoisedClip:
        """The CLIP, frozen.

        Raises:
            UsageError: a name that is not known. CheckpointError: no CLIP there.
        """
        from textdiff.devices import pick_device
        from textdiff.pipeline.clip_guide import load_guide

        self.check("CLIP", name)
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_guide(name).to(pick_device(self.device)).freeze()
            return self._loaded[name]


def _folder(name: str) -> Path:
    return Path(name).expanduser()


def _check_folder(name: str) -> None:
    """Raises CheckpointError if the folder holds no model; reads no weights."""
    folder = _folder(name)
    if not (folder / MODEL_FILE).is_file():
        reason = f"has no {MODEL_FILE}" if folder.is_dir() else "does not exist"
        raise CheckpointError(
            f"{folder} {reason}; give a run folder of textdiff train, or an exported model"
        )


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
