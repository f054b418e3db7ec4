"""U-Net weights to and from diffusers' `UNet2DConditionModel`, exactly.

    unet ── layout_to_diffusers, same tensors ──► config.json, diffusion_pytorch_model.safetensors
    unet ◄── layout_from_diffusers, same tensors ── such a folder, or a model in memory

The plain U-Net has diffusers' parameter names, shapes and arithmetic, so tensors are copied one by
one and outputs and gradients stay the same. Only safetensors are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.files import disk_errors, follow_umask, read_json
from textdiff.interop.unet_layout import layout_from_diffusers, layout_to_diffusers
from textdiff.models.unet import UNet

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CLASS = "UNet2DConditionModel"


def unet_to_diffusers(unet: UNet, folder: str | Path | None = None) -> UNet2DConditionModel:
    """The same network as diffusers' model, in eval mode; written to `folder` if one is given.

    Raises:
        UsageError: a patch_size above 1, which diffusers does not have.
    """
    from diffusers import UNet2DConditionModel

    theirs = UNet2DConditionModel(**layout_to_diffusers(unet.config)).eval()
    checkpoint.load_module(theirs, unet.state_dict(), f"diffusers' {CLASS}")
    if folder is not None:
        with disk_errors(folder):
            theirs.save_pretrained(folder)
        follow_umask(Path(folder))
    return theirs


def unet_from_diffusers(folder_or_model: str | Path | UNet2DConditionModel) -> UNet:
    """The same network as ours, in eval mode.

    Args:
        folder_or_model: a folder with config.json and weights, a pipeline folder with unet/, or a
            `UNet2DConditionModel`. An `out_channels` of twice `in_channels` is read as a learned
            variance.

    Raises:
        CheckpointError: no such files, or a network that ours cannot be; names the option.
    """
    if isinstance(folder_or_model, (str, Path)):
        folder = Path(folder_or_model)
        folder = folder / "unet" if (folder / "unet" / CONFIG).is_file() else folder
        options, where = _read_config(folder), str(folder)
        tensors = checkpoint.load_tensors(_weights(folder))
    else:
        options, tensors = dict(folder_or_model.config), folder_or_model.state_dict()
        where = f"this {type(folder_or_model).__name__}"
    config = layout_from_diffusers(options, where)
    return checkpoint.build_module(lambda: UNet(config), tensors, where).eval()


def folded(unet: UNet) -> UNet:
    """The plain U-Net with the weights of `unet` that sees pictures after
    `pixel_unshuffle(x, unet.config.patch_size)`, and puts out what is to be shuffled back."""
    config = unet.config
    area = config.patch_size**2
    plain = config.model_copy(
        update={
            "patch_size": 1,
            "image_size": config.image_size // config.patch_size,
            "in_channels": config.in_channels * area,
            "out_channels": (config.out_channels or config.in_channels) * area,
        }
    )
    same = UNet(plain).eval()
    same.load_state_dict(unet.state_dict())
    return same


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        reason = f"has no {CONFIG}" if folder.is_dir() else "is no folder"
        raise CheckpointError(
            f"no U-Net in {folder}: it {reason}; give a folder that diffusers' save_pretrained "
            "wrote, or a pipeline's folder with unet/ in it"
        )
    try:
        options = read_json(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    class_name = options.get("_class_name", CLASS) if isinstance(options, dict) else None
    if class_name != CLASS:
        raise CheckpointError(f"{path} describes a {class_name}; textdiff reads {CLASS} alone")
    return options


def _weights(folder: Path) -> Path:
    path = folder / WEIGHTS
    if not path.is_file():
        there = sorted(other.name for other in folder.glob("diffusion_pytorch_model*"))
        raise CheckpointError(
            f"{folder} has no {WEIGHTS}, only {', '.join(there) or CONFIG}; load it in diffusers "
            "and save it in one piece: save_pretrained(folder, safe_serialization=True)"
        )
    return path
