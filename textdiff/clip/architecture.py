"""What of a CLIP is not in its weights, in short: heads, activations, epsilons, the tokenizer.

Two CLIPs with the same weights and another activation give other features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from textdiff.checkpoint import config_hash
from textdiff.clip.tokens import BytePairTokenizer, Tokenizer

# of training, or of where weights came from
WITHOUT_EFFECT = {
    "patch_dropout",
    "timm_model_pretrained",
    "timm_drop",
    "timm_drop_path",
    "hf_model_pretrained",
    "hf_tokenizer_name",
}


def architecture_hash(model_cfg: Mapping[str, Any], tokenizer: Tokenizer) -> str:
    """model_cfg: as open_clip has it; what it leaves to a default counts as if it said so."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    return config_hash(
        {
            "embed_dim": model_cfg["embed_dim"],
            "quick_gelu": bool(model_cfg.get("quick_gelu")),
            "vision_cfg": _with_effect(asdict(CLIPVisionCfg()) | dict(model_cfg["vision_cfg"])),
            "text_cfg": _with_effect(asdict(CLIPTextCfg()) | dict(model_cfg["text_cfg"])),
            "tokenizer": _described(tokenizer),
        }
    )


def _with_effect(tower: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in tower.items() if key not in WITHOUT_EFFECT}


def _described(tokenizer: Tokenizer) -> dict[str, Any]:
    """Its vocabulary and rules, without what it was last asked to cut or pad to."""
    about: dict[str, Any] = {"clean": getattr(tokenizer.clean_fn, "__name__", "")}
    if isinstance(tokenizer, BytePairTokenizer):
        return {**about, "tokens": getattr(tokenizer, "encoder", None)}
    inner = tokenizer.tokenizer
    backend = getattr(inner, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend else {"tokens": inner.get_vocab()}
    special = {name: str(token) for name, token in inner.special_tokens_map.items()}
    unset = {"truncation": None, "padding": None}
    strip = getattr(tokenizer, "strip_sep_token", False)
    return {**about, **rules, **unset, "special": special, "strip_sep_token": strip}
