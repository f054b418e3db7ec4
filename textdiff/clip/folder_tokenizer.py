"""The tokenizer of a CLIP folder, read without running or fetching anything.

    tokenizer.json          ── the tokenizers library, which knows data only ──► ids
    tokenizer_config.json   ── names of special tokens, padding's side; nothing else counts

`transformers.AutoTokenizer`, which open_clip asks, would import classes that the folder names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textdiff.clip.tokens import Tokenizer
from textdiff.errors import CheckpointError
from textdiff.files import read_json

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIGS = ("special_tokens_map.json", "tokenizer_config.json")  # later ones win
SPECIAL_TOKENS = tuple(
    f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
)


def folder_tokenizer(folder: Path, text_cfg: dict[str, Any]) -> Tokenizer:
    """open_clip's byte-pair tokenizer, or the one that the folder brings.

    text_cfg: as `folder_config.check_model` leaves it.

    Raises:
        CheckpointError: the config asks for a tokenizer that is not in the folder, or is damaged.
    """
    from open_clip import tokenizer as open_clip_tokenizer

    length = text_cfg.get("context_length", open_clip_tokenizer.DEFAULT_CONTEXT_LENGTH)
    options = text_cfg.get("tokenizer_kwargs") or {}
    if not text_cfg.get("hf_tokenizer_name"):
        clean = options.get("clean") or "lower"
        return open_clip_tokenizer.SimpleTokenizer(context_length=length, clean=clean)
    # What HFTokenizer's own __init__ would set, but for the inner tokenizer.
    wrapped: Any = open_clip_tokenizer.HFTokenizer.__new__(open_clip_tokenizer.HFTokenizer)
    wrapped.tokenizer_mode = text_cfg.get("tokenizer_mode") or ""
    wrapped.context_length = length
    wrapped.clean_fn = open_clip_tokenizer.get_clean_fn(options.get("clean") or "whitespace")
    wrapped.strip_sep_token = options.get("strip_sep_token", False)
    wrapped.tokenizer = _inner_tokenizer(folder)
    tokenizer: Tokenizer = wrapped
    return tokenizer


def _inner_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer as FastTokenizer
    from transformers import PreTrainedTokenizerFast

    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise CheckpointError(
            f"{folder} names a tokenizer of its own and has no {TOKENIZER_FILE}; put that file "
            "there (tokenizer.save_pretrained writes it): none is fetched by name"
        )
    try:
        tokenizer = FastTokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare ones
        raise CheckpointError(f"{path} is no tokenizer: {str(error)[:200]}") from None
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **_special_tokens(folder, tokenizer.get_vocab())
    )


def _special_tokens(folder: Path, vocabulary: dict[str, int]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name in TOKENIZER_CONFIGS:
        path = folder / name
        if not path.is_file():
            continue
        try:
            config = read_json(path)
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
        if not isinstance(config, dict):
            raise CheckpointError(f"{path} must hold an object")
        for key in SPECIAL_TOKENS:
            token = config.get(key)
            token = token.get("content") if isinstance(token, dict) else token
            if token is None:
                continue
            if not isinstance(token, str) or token not in vocabulary:
                raise CheckpointError(
                    f"{path}: {key} {str(token)[:40]!r} is no token of {TOKENIZER_FILE}"
                )
            values[key] = token
        if config.get("padding_side") in ("left", "right"):
            values["padding_side"] = config["padding_side"]
    return values
