"""The shape of a plain U-Net in our words and in those of diffusers' `UNet2DConditionModel`.

    ours                        diffusers
    attention[i]                down_block_types[i] = CrossAttnDownBlock2D, else DownBlock2D
    head_dim                    attention_head_dim[i] = channels / head_dim: a number of heads
    pooled_dim                  class_embed_type "simple_projection" of that input width
    learned_variance            out_channels is twice in_channels
    time_scale_shift            resnet_time_scale_shift "scale_shift", else "default"
    linear_projection           use_linear_projection

Whatever either side knows and the other does not is refused by name: a U-Net that was read works as
the one that was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from textdiff.errors import CheckpointError, UsageError
from textdiff.models.config import UNetConfig

T = TypeVar("T")

# Options of diffusers that our U-Net has no choice in: those of its values that mean what ours
# does, first the default, which a config file may leave out.
FIXED: dict[str, tuple[Any, ...]] = {
    "act_fn": ("silu", "swish"),
    "addition_embed_type": (None,),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embeddings_concat": (False,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "norm_eps": (1e-5,),
    "num_attention_heads": (None,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1,),
    "resnet_skip_time_act": (False,),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
}
# The others, with diffusers' defaults.
CHOSEN: dict[str, Any] = {
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
    "class_embed_type": None,
    "cross_attention_dim": 1280,
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "dropout": 0.0,
    "in_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 4,
    "projection_class_embeddings_input_dim": None,
    "resnet_time_scale_shift": "default",
    "sample_size": None,
    "time_embedding_dim": None,
    "transformer_layers_per_block": 1,
    "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    "use_linear_projection": False,
}
# No part of what fp32 computes, or of no effect beside the values above.
IGNORED = {"upcast_attention", "addition_embed_type_num_heads", "addition_time_embed_dim"}

DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}
UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}
SHIFT = {"default": False, "scale_shift": True}
UNSIZED = 32  # pictures' side where a file names none, or the least multiple that fits


def layout_to_diffusers(config: UNetConfig) -> dict[str, Any]:
    """Arguments of `UNet2DConditionModel` for the same network, weight names included.

    Raises:
        UsageError: patch_size is above 1, or an unCLIP decoder.
    """
    if config.patch_size > 1:
        raise UsageError(
            f"unet.patch_size {config.patch_size}: diffusers' U-Net folds no pixels into channels; "
            "export the whole model, whose pipeline folds them, or train with patch_size 1"
        )
    refuse_decoder(config)
    down, up = ({attends: name for name, attends in names.items()} for names in (DOWN, UP))
    return {
        "sample_size": config.image_size,
        "in_channels": config.in_channels,
        "out_channels": config.network_channels,
        "down_block_types": tuple(down[attends] for attends in config.attention),
        "up_block_types": tuple(up[attends] for attends in reversed(config.attention)),
        "block_out_channels": config.block_channels,
        "layers_per_block": config.layers,
        "attention_head_dim": tuple(max(1, c // config.head_dim) for c in config.block_channels),
        "cross_attention_dim": config.cross_attention_dim,
        "transformer_layers_per_block": config.transformer_layers,
        "norm_num_groups": config.norm_groups,
        "use_linear_projection": config.linear_projection,
        "resnet_time_scale_shift": "scale_shift" if config.time_scale_shift else "default",
        "class_embed_type": "simple_projection" if config.pooled_dim else None,
        "projection_class_embeddings_input_dim": config.pooled_dim,
        "dropout": config.dropout,
    }


def refuse_decoder(config: UNetConfig) -> None:
    """Raises UsageError: the U-Net is an unCLIP decoder."""
    if config.image_dim is not None:
        raise UsageError(
            f"unet.image_dim {config.image_dim}: diffusers' U-Net takes no embedding of a picture "
            "beside the text, so an unCLIP decoder cannot be exported; a diffusion prior can"
        )


def layout_from_diffusers(options: Mapping[str, Any], where: str) -> UNetConfig:
    """The config of the same network.

    Args:
        options: a `UNet2DConditionModel`'s config; what is missing has diffusers' default.
        where: what the options are of, for messages.

    Raises:
        CheckpointError: names the first option that our U-Net does not have.
    """
    _check_fixed(options, where)
    of = {name: options.get(name, default) for name, default in CHOSEN.items()}
    channels = tuple(of["block_out_channels"])
    attention = _attention(of, len(channels), where)
    fields = {
        "image_size": _side(of["sample_size"], len(channels), where),
        "in_channels": of["in_channels"],
        **_outputs(of["in_channels"], of["out_channels"]),
        "block_channels": channels,
        "layers_per_block": tuple(_per_level(of, "layers_per_block", where)),
        "attention": attention,
        "head_dim": _head_dim(of, attention, where),
        "transformer_layers": _shared(of, "transformer_layers_per_block", attention, where),
        "cross_attention_dim": _shared(of, "cross_attention_dim", attention, where),
        "pooled_dim": _pooled_dim(of, where),
        "norm_groups": _one_of(of, "norm_num_groups", None, where),
        "time_scale_shift": _one_of(of, "resnet_time_scale_shift", SHIFT, where),
        "linear_projection": of["use_linear_projection"],
        "dropout": of["dropout"],
    }
    if of["time_embedding_dim"] not in (None, 4 * channels[0]):
        _refuse(where, "time_embedding_dim", of["time_embedding_dim"], f"{4 * channels[0]}")
    try:
        return UNetConfig(**fields)
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CheckpointError(f"{where} describes no U-Net of textdiff's: {reason}") from None


def _refuse(where: str, option: str, value: Any, right: str) -> None:
    raise CheckpointError(
        f"{where}: textdiff's U-Net has no {option} {value!r}; it needs {option} {right}"
    )


def _check_fixed(options: Mapping[str, Any], where: str) -> None:
    for option, value in options.items():
        if option.startswith("_") or option in CHOSEN or option in IGNORED:
            continue
        if option in FIXED:
            values = value if isinstance(value, (list, tuple)) else [value]
            if not all(v in FIXED[option] for v in values):
                _refuse(where, option, value, repr(FIXED[option][0]))
        elif value not in (None, False):  # of a diffusers to come
            _refuse(where, option, value, "switched off")


def _per_level(of: Mapping[str, Any], option: str, where: str) -> list[int]:
    value, levels = of[option], len(of["block_out_channels"])
    if not isinstance(value, (list, tuple)):
        return [value] * levels
    if len(value) != levels:
        _refuse(where, option, value, f"with one entry for each of {levels} levels")
    return list(value)


def _one_of(of: Mapping[str, Any], option: str, meaning: dict[str, Any] | None, where: str) -> Any:
    value = of[option]
    if meaning is None and value is None:
        _refuse(where, option, value, "of 1 or more")
    if meaning is not None and value not in meaning:
        _refuse(where, option, value, f"to be one of {', '.join(meaning)}")
    return value if meaning is None else meaning[value]


def _attention(of: Mapping[str, Any], levels: int, where: str) -> tuple[bool, ...]:
    for option, known in (("down_block_types", DOWN), ("up_block_types", UP)):
        names = of[option]
        foreign = [name for name in names if name not in known]
        if foreign:
            _refuse(where, option, foreign[0], f"of {' and '.join(known)} alone")
        if len(names) != levels:
            _refuse(where, option, list(names), f"with one entry for each of {levels} levels")
    down = tuple(DOWN[name] for name in of["down_block_types"])
    if tuple(UP[name] for name in reversed(of["up_block_types"])) != down:
        _refuse(
            where,
            "up_block_types",
            list(of["up_block_types"]),
            "that attend where down_block_types do, in reverse order",
        )
    return down


def _attended(values: list[T], attention: tuple[bool, ...]) -> set[T]:
    """Of the levels that attend, and of the last, as the middle block has its values."""
    return {value for value, on in zip(values, [*attention[:-1], True], strict=True) if on}


def _shared(of: Mapping[str, Any], option: str, attention: tuple[bool, ...], where: str) -> int:
    values = _per_level(of, option, where)
    nested = [value for value in values if isinstance(value, (list, tuple))]
    if nested or len(_attended(values, attention)) > 1:
        _refuse(where, option, of[option], "the same at every level that attends")
    return values[-1]


def _head_dim(of: Mapping[str, Any], attention: tuple[bool, ...], where: str) -> int:
    heads, channels = _per_level(of, "attention_head_dim", where), of["block_out_channels"]
    widths = _attended([c / n for c, n in zip(channels, heads, strict=True)], attention)
    if len(widths) > 1 or not all(width.is_integer() for width in widths):
        shown = ", ".join(f"{width:g}" for width in sorted(widths))
        raise CheckpointError(
            f"{where}: attention_head_dim {of['attention_head_dim']!r} counts heads, which are "
            f"{shown} wide; textdiff's U-Net needs one whole width at every level that attends"
        )
    return int(widths.pop())


def _pooled_dim(of: Mapping[str, Any], where: str) -> int | None:
    kind, width = of["class_embed_type"], of["projection_class_embeddings_input_dim"]
    if kind not in (None, "simple_projection"):
        _refuse(where, "class_embed_type", kind, "None or 'simple_projection'")
    return width if kind else None


def _outputs(in_channels: int, out_channels: int) -> dict[str, Any]:
    if out_channels == 2 * in_channels:
        return {"learned_variance": True}
    return {"out_channels": None if out_channels == in_channels else out_channels}


def _side(sample_size: Any, levels: int, where: str) -> int:
    sides = set(sample_size) if isinstance(sample_size, (list, tuple)) else {sample_size}
    if len(sides) > 1:
        _refuse(where, "sample_size", sample_size, "of a square")
    multiple = 2 ** (levels - 1)
    return sides.pop() or -(-UNSIZED // multiple) * multiple
