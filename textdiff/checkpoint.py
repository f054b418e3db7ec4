"""Weights and training state on disk: the only place that writes or reads them. No pickle.

    checkpoints/step-001000/  <name>.safetensors ...  state.json  manifest.json

A checkpoint is staged in a temporary folder, flushed, its manifest (size and sha256 of each file)
written last, then renamed. Older ones, and one of the same step, are removed only after the new one
verifies.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from textdiff.errors import CheckpointError
from textdiff.files import disk_errors, flush, read_json, replacing, write_text
from textdiff.manifests import MANIFEST, verify_manifest, write_manifest

if TYPE_CHECKING:
    from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound="nn.Module")
STATE = "state.json"
STATE_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("step", "ema_updates"), int),
    "seconds": (int, float),
    **dict.fromkeys(("health", "fixed", "data"), dict),
    "windows": list,
}


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, whole or not at all. Tensors may live on any device.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.torch import save_file

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary, disk_errors(path):
        save_file(on_cpu, temporary, metadata={"format": "pt"})


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        CheckpointError: no such file, or one that cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"weights file {path} does not exist") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file: {error}; copy or save it again"
        ) from None


def load_foreign_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .pth file of another project's, on the CPU. torch's restricted reader takes
    tensors and plain values and refuses whatever else a pickle can hold.

    Raises:
        CheckpointError: no such file, one that holds anything but named tensors, or a torch whose
            restricted reader has a known hole (CVE-2026-24747).
    """
    import torch

    if torch.__version__ < (2, 10):  # type: ignore[operator]
        raise CheckpointError(
            f"{path}: torch {torch.__version__} is not safe with such files (CVE-2026-24747); "
            "use torch 2.10 or later, or weights in .safetensors"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"weights file {path} does not exist") from None
    except Exception as error:  # what a damaged archive or a refused pickle raises is not listed
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} cannot be read as plain weights: {reason}") from None
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor)
        for name, tensor in content.items()
    ):
        raise CheckpointError(f"{path} is no mapping of names to tensors")
    return dict(content)


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None: all are finite."""
    import torch

    names = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    if not names:
        return None
    finite = torch.stack([tensors[name].isfinite().all().cpu() for name in names])
    return None if finite.all() else names[int(finite.int().argmin())]


def check_finite(tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Raises CheckpointError naming the first of `tensors`, from `where`, with NaN or infinity."""
    name = first_not_finite(tensors)
    if name is not None:
        raise CheckpointError(
            f"{where}: '{name}' holds values that are not finite, so that nothing can be computed "
            "with it; take an earlier checkpoint, or train it again with a lower learning rate"
        )


def build_module(
    make: Callable[[], ModuleT], tensors: Mapping[str, Tensor], where: str | Path
) -> ModuleT:
    """What `make` makes, with `tensors` in it.

    It is made without memory first, so that a config cannot ask for more than its weights fill.

    Raises:
        CheckpointError: as `load_module`.
    """
    import torch

    with torch.device("meta"):
        check_shapes(make(), tensors, where)
    module = make()
    load_module(module, tensors, where)
    return module


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Copies `tensors` into `module`, all of them, each of the right shape and finite.

    Raises:
        CheckpointError: names the first tensor that is missing, unknown, of another shape or not
            finite.
    """
    check_shapes(module, tensors, where)
    check_finite(tensors, where)
    module.load_state_dict(dict(tensors))


def check_shapes(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Raises CheckpointError naming the first tensor that is missing, unknown or of another shape
    than in `module`."""
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise CheckpointError(f"{where} lacks '{name}', which the model's config asks for")
        if tensors[name].shape != tensor.shape:
            raise CheckpointError(
                f"{where}: '{name}' has shape {tuple(tensors[name].shape)}, "
                f"the model's config asks for {tuple(tensor.shape)}"
            )
    for name in tensors:
        if name not in own:
            raise CheckpointError(f"{where} holds '{name}', which the model's config does not know")


def save_checkpoint(
    root: str | Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    keep: int,
    spared: Path | None = None,
) -> Path:
    """Writes `root/step-NNNNNN` and removes what is older than the newest `keep` that verify.

    Damaged ones count for none, and go when they are older than these. Later steps than this one,
    if there are any, are damaged ones that the run was not resumed from.

    Args:
        tensors: file stem -> named tensors.
        state: what else a resumed run needs, as JSON.
        spared: an older checkpoint that stays besides.

    Raises:
        CheckpointError: what was written does not read back as it should.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    for abandoned in root.glob(".staging-*"):  # by a process that was killed
        shutil.rmtree(abandoned)
    target = root / f"step-{step:06d}"
    staging = _staging(target)
    staging.mkdir()
    try:
        for stem, group in tensors.items():
            save_tensors(staging / f"{stem}.safetensors", group)
        write_text(staging / STATE, json.dumps({"step": step, **state}, indent=1))
        write_manifest(staging, [path.name for path in staging.iterdir()])
        flush(staging)
        _exchange(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    prune(root, step, keep, spared)
    return target


def _exchange(staging: Path, target: Path) -> None:
    """Puts the staged folder in place and verifies it there. What was there before, by a run that
    went further before it was resumed or that evaluates this step only now, goes after that; it
    comes back on any error."""
    before = _staging(target)
    try:
        if target.exists():
            target.rename(before)
        staging.rename(target)
        flush(target.parent)
        verify(target)
    except BaseException:
        if before.exists():
            if target.exists():
                target.rename(staging)
            before.rename(target)
        raise
    if before.exists():
        shutil.rmtree(before)


def restore_staged(root: str | Path) -> None:
    """Gives staged folders that verify their name where no checkpoint has it: those of a process
    that was killed while it exchanged one for another."""
    for staged in sorted(Path(root).glob(".staging-step-*-*")):
        target = staged.with_name(staged.name.removeprefix(".staging-").rpartition("-")[0])
        if target.exists() or staged.is_symlink() or not staged.is_dir():
            continue
        with suppress(CheckpointError):
            verify(staged)
            staged.rename(target)


def prune(root: str | Path, step: int, keep: int, spared: Path | None = None) -> None:
    """Removes what is older than the newest `keep` that verify, up to `step`; `spared` stays."""
    for old in _older_than_kept(Path(root), step, keep):
        if old != spared:
            shutil.rmtree(_set_aside(old))


def _staging(folder: Path) -> Path:
    """A name beside `folder` that nothing is read from."""
    return folder.with_name(f".staging-{folder.name}-{uuid.uuid4().hex[:8]}")


def _set_aside(folder: Path) -> Path:
    """Gives it such a name: a process that is killed while it removes the folder leaves no half of
    a checkpoint."""
    return folder.rename(_staging(folder))


def _older_than_kept(root: Path, step: int, keep: int) -> list[Path]:
    """Than the newest `keep` good ones up to `step`."""
    folders = [path for path in checkpoints(root) if step_of(path) <= step]
    good = 0
    for number, folder in enumerate(folders):
        try:
            verify(folder)
        except CheckpointError:
            continue
        good += 1
        if good == keep:
            return folders[number + 1 :]
    return []


def step_of(folder: Path) -> int:
    """Of a checkpoint, by its name."""
    return int(folder.name.removeprefix("step-"))


def checkpoints(root: str | Path) -> Iterator[Path]:
    """Checkpoint folders under `root`, newest step first, good or not."""
    folders = [
        path
        for path in Path(root).glob("step-*")
        if path.is_dir() and path.name.removeprefix("step-").isdigit()
    ]
    yield from sorted(folders, key=step_of, reverse=True)


def steps_of(root: str | Path) -> dict[int, Path]:
    """By step, the newest first: the checkpoint folders under `root`, good or not."""
    return {step_of(folder): folder for folder in checkpoints(root)}


def verify(folder: str | Path) -> None:
    """Checks every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: names the first file that is missing or differs.
    """
    try:
        verify_manifest(Path(folder))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no {MANIFEST}: it was not written to its end"
        ) from None


def newest_good(root: str | Path) -> tuple[Path | None, list[str]]:
    """(the newest checkpoint that verifies or None, one message per newer damaged one).

    Raises:
        CheckpointError: there are checkpoints, but none can be used.
    """
    damaged = []
    for folder in checkpoints(root):
        try:
            verify(folder)
        except CheckpointError as error:
            damaged.append(str(error))
        else:
            return folder, damaged
    if damaged:
        raise CheckpointError(
            f"no checkpoint under {root} can be used ({damaged[0]}); "
            "move the folder away to start fresh"
        )
    return None, damaged


def load_state(folder: str | Path) -> dict[str, Any]:
    """The JSON state of a checkpoint.

    Raises:
        CheckpointError: it cannot be read, or is none. FileNotFoundError: there is none.
    """
    file = Path(folder) / STATE
    try:
        state = read_json(file)
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{file} is no state of a training: it has no step")
    for key, kinds in STATE_TYPES.items():
        if key in state and (not isinstance(state[key], kinds) or isinstance(state[key], bool)):
            raise CheckpointError(f"{file}: {key} is a {type(state[key]).__name__}")
    return state


def weights_hash(module: nn.Module) -> str:
    """First 16 hex digits of the sha256 of a module's weights by name; the same on every device."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        flat = tensor.detach().cpu().contiguous()
        digest.update(f"{name}:{flat.dtype}:{tuple(flat.shape)}".encode())
        digest.update(flat.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def config_hash(config: Any) -> str:
    """First 16 hex digits of the sha256 of JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]
