"""What textdiff takes from the config of a CLIP folder, which may come from anybody.

    open_clip_config.json ── keys listed here, of these types, within these bounds ──► open_clip

Any other key is refused: none here names a file, an address or code. The ones left out name other
text towers and tokenizers (`hf_*`, `multimodal_cfg`), or change what the towers return.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from textdiff.errors import CheckpointError

Side = Annotated[int, Field(ge=1, le=4096)]
Width = Annotated[int, Field(ge=1, le=32768)]
Heads = Annotated[int, Field(ge=1, le=1024)]
Layers = Annotated[int, Field(ge=1, le=512)]
Ratio = Annotated[float, Field(gt=0, le=64)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Triple = tuple[float, float, float]
Bounds = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ActivationKeys(pydantic.BaseModel):
    model_config = Bounds

    approximate: Literal["none", "tanh"] = "none"


class NormKeys(pydantic.BaseModel):
    model_config = Bounds

    eps: float = Field(1e-5, gt=0, lt=1)


class TowerKeys(pydantic.BaseModel):
    """What both towers have. Names are open_clip's."""

    model_config = Bounds

    mlp_ratio: Ratio = 4.0
    ls_init_value: float | None = None
    final_ln_after_pool: bool = False
    output_tokens: Literal[False] = False
    act_kwargs: ActivationKeys | None = None
    norm_kwargs: NormKeys | None = None
    block_type: Literal["default", "custom"] | None = None
    qk_norm: bool = False
    scaled_cosine_attn: bool = False
    scale_heads: bool = False
    scale_attn_inner: bool = False
    scale_attn: bool = False
    scale_fc: bool = False


class VisionKeys(TowerKeys):
    """`vision_cfg`. A timm model is one of those that the installed timm builds itself."""

    layers: Layers | tuple[Layers, Layers, Layers, Layers] = 12
    width: Width = 768
    head_width: Width = 64
    patch_size: Side | None = 16
    image_size: Side | tuple[Side, Side] = 224
    patch_dropout: Rate = 0.0
    attentional_pool: bool | Literal["parallel", "cascade"] = False
    attn_pooler_queries: Width = 256
    attn_pooler_heads: Heads = 8
    no_ln_pre: bool = False
    pos_embed_type: Literal["learnable", "sin_cos_2d"] = "learnable"
    pool_type: Literal["tok", "avg", "none"] = "tok"
    timm_model_name: str | None = Field(None, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$", max_length=99)
    timm_model_pretrained: bool = False
    timm_pool: Literal["", "abs_attn", "avg", "avgmax", "map", "max", "rot_attn", "token"] = "avg"
    timm_proj: Literal["", "linear", "mlp", "none"] | None = "linear"
    timm_proj_bias: bool = False
    timm_drop: Rate = 0.0
    timm_drop_path: Rate | None = None

    @pydantic.field_validator("timm_model_name")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None:
            import timm

            if not timm.is_model(name):
                raise ValueError("the installed timm has no such model")
        return name


class TokenizerKeys(pydantic.BaseModel):
    """How a caption is cleaned, and whether its separator is blanked."""

    model_config = Bounds

    clean: Literal["canonicalize", "lower", "whitespace"] | None = None
    strip_sep_token: bool = False


class TextKeys(TowerKeys):
    """`text_cfg`. `hf_tokenizer_name` only says that the folder brings a tokenizer.json."""

    context_length: Annotated[int, Field(ge=3, le=8192)] = 77
    vocab_size: Annotated[int, Field(ge=1, le=4_000_000)] = 49408
    hf_tokenizer_name: Annotated[str, Field(max_length=200)] | None = None
    tokenizer_mode: Literal["", "clips"] | None = None
    tokenizer_kwargs: TokenizerKeys | None = None
    width: Width = 512
    heads: Heads = 8
    layers: Layers = 12
    embed_cls: Literal[False] = False
    pad_id: Annotated[int, Field(ge=0, le=4_000_000)] = 0
    eos_id: Annotated[int, Field(ge=0, le=4_000_000)] = 2
    no_causal_mask: bool = False
    pool_type: Literal["argmax", "eos", "first", "last", "none"] = "argmax"
    proj_bias: bool = False
    proj_type: Literal["linear", "none"] = "linear"


class ModelKeys(pydantic.BaseModel):
    """`model_cfg`."""

    model_config = Bounds

    embed_dim: Width
    vision_cfg: VisionKeys
    text_cfg: TextKeys
    quick_gelu: bool = False
    custom_text: bool = False
    init_logit_scale: Annotated[float, Field(ge=-100, le=100)] = 0.0
    init_logit_bias: Annotated[float, Field(ge=-1000, le=1000)] | None = None
    nonscalar_logit_scale: bool = False


class PreprocessKeys(pydantic.BaseModel):
    """`preprocess_cfg`; as in open_clip, keys that it does not know have no effect."""

    model_config = pydantic.ConfigDict(**{**Bounds, "extra": "ignore"})

    mean: Triple = Field((0.0, 0.0, 0.0))
    std: tuple[Ratio, Ratio, Ratio] = (1.0, 1.0, 1.0)
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    resize_mode: Literal["longest", "shortest", "squash"] = "shortest"
    fill_color: int = Field(0, ge=0, le=255)


def check_model(config: Any, where: str) -> dict[str, Any]:
    """open_clip's `model_cfg` with what `config` sets of `ModelKeys`.

    where: what an error calls the config.

    Raises:
        CheckpointError: another key, a value of another type or out of bounds.
    """
    return _checked(ModelKeys, config, f"{where}: model_cfg")


def check_preprocess(config: Any, where: str) -> dict[str, Any]:
    """The same of `preprocess_cfg`."""
    return _checked(PreprocessKeys, config, f"{where}: preprocess_cfg")


def _checked(schema: type[pydantic.BaseModel], config: Any, where: str) -> dict[str, Any]:
    try:
        # As JSON: there a list may be a tuple, and is one in what comes out.
        return schema.model_validate_json(json.dumps(config)).model_dump(exclude_unset=True)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            raise CheckpointError(
                f"{key} is none of the settings that textdiff takes from a CLIP folder; "
                "nothing in a folder may name code or files"
            ) from None
        message = first["msg"].removeprefix("Value error, ")
        raise CheckpointError(f"{key}: {message}, got {str(first['input'])[:60]!r}") from None
