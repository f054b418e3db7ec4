"""Where a VAE comes from: a folder in diffusers' layout, or a hub name whose files are such.

    folder/config.json                          arguments of AutoencoderKL
    folder/diffusion_pytorch_model.safetensors  every tensor of the module, nothing else

A folder is data: of its config only the arguments of `AutoencoderKL` are read, and weights are
loaded strictly, so that no part of a loaded network is ever random (`from_pretrained` warns and
goes on).
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from textdiff import checkpoint
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import read_json
from textdiff.manifests import MANIFEST, US, WRITTEN_BY
from textdiff.vae.config import CHANNELS, LEVELS, MOST

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CLASS = "AutoencoderKL"
SUBFOLDER = "vae"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
# parameters of attention before diffusers 0.13, and since
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def find_folder(source: str | Path) -> Path:
    """The folder that holds config.json: `source` itself or vae/ in it (a run folder of train-vae,
    a model folder, a pipeline of diffusers), or of the files of a hub name, downloaded if need be.

    Raises:
        CheckpointError: a folder without a VAE.
        UsageError: a name whose files are not on disk and cannot be downloaded.
    """
    name, path = str(source), Path(source).expanduser()
    if not path.exists():
        if name[:1] in "/.~" or not HUB_NAME.fullmatch(name):
            raise CheckpointError(f"no VAE at {source}: no such folder")
        path = _downloaded(name)
    for folder in (path, path / SUBFOLDER):
        if (folder / CONFIG).is_file():
            return folder
    if (path / "checkpoints").is_dir():
        raise CheckpointError(
            f"no VAE in {source}: it has no {SUBFOLDER}/{CONFIG}; train-vae "
            "writes it with each checkpoint, so train it for longer"
        )
    raise CheckpointError(
        f"no VAE in {source}: neither it nor {SUBFOLDER}/ in it has a {CONFIG}; give a run folder "
        f"of textdiff train-vae, or a folder that {CLASS}.save_pretrained wrote"
    )


def is_elsewhere(source: str) -> bool:
    """Whether `source` names a VAE of the hub, OWNER/NAME, of which no file is on this machine.

    Raises:
        CheckpointError: it is no such name, and no folder; perhaps a folder that is mistyped.
    """
    from huggingface_hub import try_to_load_from_cache

    if Path(source).expanduser().exists():
        return False
    owner, _, name = source.partition("/")
    if not name or source[:1] in "/.~" or not HUB_NAME.fullmatch(source) or Path(owner).is_dir():
        raise _no_such(source)
    places = (CONFIG, f"{SUBFOLDER}/{CONFIG}")
    try:
        return not any(isinstance(try_to_load_from_cache(source, file), str) for file in places)
    except ValueError:  # of the hub's own rules for names
        raise _no_such(source) from None


def _no_such(source: str) -> CheckpointError:
    return CheckpointError(
        f"no VAE at {source}: no such folder, and no name of the hub, OWNER/NAME"
    )


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download

    files = [CONFIG, WEIGHTS, "latents.json", MANIFEST]
    try:
        return Path(
            snapshot_download(name, allow_patterns=[*files, *(f"{SUBFOLDER}/{f}" for f in files)])
        )
    except Exception as error:  # one of many, by what the network and the hub say
        reason = " ".join(str(error).split())[:160]
        raise UsageError(
            f"no VAE at '{name}': no such folder, and as a hub name it is not on this machine and "
            f"cannot be downloaded ({reason}): connect once, or give a local folder"
        ) from None


def read_options(folder: Path) -> dict[str, Any]:
    """What config.json says: arguments of AutoencoderKL, and what is not one.

    Raises:
        CheckpointError: it cannot be read, or describes another class or pictures without colour.
    """
    path = folder / CONFIG
    try:
        options = read_json(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(options, dict):
        raise CheckpointError(f"{path} must hold the arguments of an {CLASS}")
    class_name = options.get("_class_name", CLASS)
    if class_name != CLASS:
        raise CheckpointError(f"{path} describes a {class_name}; textdiff reads {CLASS} alone")
    for key, most in MOST.items():
        if key in options and not _counts(options[key], most):
            raise CheckpointError(
                f"{path} has {key} {str(options[key])[:40]}; a number from 1 to {most} is built"
            )
    widths = options.get("block_out_channels", [1])
    listed = isinstance(widths, list) and 0 < len(widths) <= LEVELS
    if not listed or not all(_counts(width, CHANNELS) for width in widths):
        raise CheckpointError(
            f"{path} has block_out_channels {str(widths)[:40]}; 1 to {LEVELS} levels of 1 to "
            f"{CHANNELS} channels are built"
        )
    for key in ("in_channels", "out_channels"):
        if options.get(key, 3) != 3:
            raise CheckpointError(f"{path} has {key} {options[key]}; pictures have 3 channels")
    return options


def is_ours(options: dict[str, Any]) -> bool:
    """Whether `Vae.save` wrote this config.json: diffusers copies our mark, but adds its version to
    each one that it writes."""
    return options.get(f"_{WRITTEN_BY}") == US and "_diffusers_version" not in options


def _counts(value: Any, most: int) -> bool:
    """Whether it is a number from 1 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def load_network(folder: Path, options: dict[str, Any]) -> AutoencoderKL:
    """The network of `options` with the weights in `folder`, on the CPU.

    Raises:
        CheckpointError: no network by these options, or weights of another one.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        there = sorted(other.name for other in folder.glob("diffusion_pytorch_model*"))
        raise CheckpointError(
            f"{folder} has no {WEIGHTS}, only {', '.join(there) or CONFIG}; load it in diffusers "
            "and save it in one piece: save_pretrained(folder, safe_serialization=True)"
        )
    tensors = _renamed(checkpoint.load_tensors(path))
    try:
        # First without memory, so that a config cannot ask for more than its weights fill.
        with torch.device("meta"):
            _check_shapes(build_network(options), tensors, folder)
        network = build_network(options)
    except CheckpointError:
        raise
    except Exception as error:  # whatever diffusers makes of arguments that do not fit each other
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"diffusers cannot build what {folder / CONFIG} describes: {reason}"
        ) from error
    checkpoint.load_module(network, tensors, path)
    return network


def build_network(options: dict[str, Any]) -> AutoencoderKL:
    """Of those of `options` that are arguments of AutoencoderKL."""
    from diffusers import AutoencoderKL

    known = inspect.signature(AutoencoderKL.__init__).parameters
    return AutoencoderKL(**{key: value for key, value in options.items() if key in known})


def _check_shapes(network: AutoencoderKL, tensors: dict[str, Tensor], folder: Path) -> None:
    expected = network.state_dict()
    for name in sorted(expected | tensors):
        ours = list(expected[name].shape) if name in expected else "none"
        theirs = list(tensors[name].shape) if name in tensors else "none"
        if ours != theirs:
            raise CheckpointError(
                f"{folder}: config and weights disagree on '{name}': {theirs} in {WEIGHTS}, "
                f"{ours} by {CONFIG}; take both files from one model"
            )


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the names that attention's parameters have today."""
    renamed = {}
    for name, tensor in tensors.items():
        *path, layer, leaf = ["", "", *name.split(".")]
        if "attentions" in path and layer in OLD_ATTENTION:
            name = ".".join([*filter(None, path), OLD_ATTENTION[layer], leaf])
        renamed[name] = tensor
    return renamed
