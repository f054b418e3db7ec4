"""Where a CLIP comes from and goes to: an open_clip folder, or open_clip's list of pretrained ones.

    folder/open_clip_config.json        {"model_cfg": {...}, "preprocess_cfg": {mean, std, ...}}
    folder/open_clip_model.safetensors  every tensor of the module, nothing else
    folder/manifest.json                what both were when we wrote them; other programs write
                                        none, and no "written_by" beside model_cfg

Weights are loaded strictly: where file and config disagree is an error, so that no part of a loaded
model is ever random. A folder is data: of its config only what `folder_config` lists reaches
open_clip, nothing in it names code, and no name in it is looked up on the network.
"""

from __future__ import annotations

import copy
import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from textdiff import checkpoint
from textdiff.byte_pairs import merge_quickly
from textdiff.clip.folder_config import check_model, check_preprocess
from textdiff.clip.folder_tokenizer import folder_tokenizer
from textdiff.clip.tokens import Tokenizer
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import read_json
from textdiff.manifests import US, WRITTEN_BY, exchanging, verify_folder
from textdiff.randomness import weights_drawn_by

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
LOCAL_PREFIX = "local-dir:"
RANDOM = "random"  # in place of a tag: untrained weights, by which a training is planned


@dataclass(frozen=True)
class Source:
    """An open_clip module with the config that rebuilds it and its tokenizer."""

    module: nn.Module
    model_cfg: dict[str, Any]
    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        merge_quickly(self.tokenizer)

    @property
    def preprocess_cfg(self) -> dict[str, Any]:
        """How pictures are made ready: size, mean, std, interpolation, resize_mode, fill_color."""
        import open_clip

        return open_clip.get_model_preprocess_cfg(self.module)


def load(name: str) -> Source:
    """`name`: a folder (`local-dir:` in front is optional) or `MODEL/TAG`, e.g. `ViT-B-32/openai`.

    Raises:
        CheckpointError: no such folder, files missing or unreadable, config and weights disagree.
        UsageError: unknown MODEL or TAG, weights that are not on disk and cannot be downloaded, or
            an architecture whose text tower is not open_clip's own.
    """
    if is_listed(name):
        return _load_listed(name)
    return _load_folder(Path(name.removeprefix(LOCAL_PREFIX)).expanduser())


def is_listed(name: str) -> bool:
    """Whether `load` looks for `name` in open_clip's list, and not for a folder."""
    return not (name.startswith(LOCAL_PREFIX) or Path(name).exists() or name[:1] in "/.~")


def instantiate(
    model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any], seed: int = 0
) -> nn.Module:
    """A module with random weights drawn from `seed`; the global random state stays as it was.

    Raises:
        UsageError: the text tower is not open_clip's own.
    """
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    _check_text_tower(model_cfg)
    arguments = copy.deepcopy(model_cfg)
    custom_text = arguments.pop("custom_text", False)
    if "timm_model_name" in arguments["vision_cfg"]:
        arguments["vision_cfg"]["timm_model_pretrained"] = False
    with weights_drawn_by(seed):
        module = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**arguments)
    preprocess = merge_preprocess_dict(PreprocessCfg(), preprocess_cfg)
    open_clip.set_model_preprocess_cfg(module, {**preprocess, "size": module.visual.image_size})
    return module


def save(source: Source, folder: str | Path) -> None:
    """Writes the open_clip folder; each file appears whole, or not at all."""
    # clone: safetensors refuses tensors that share memory.
    tensors = {name: tensor.clone() for name, tensor in source.module.state_dict().items()}
    preprocess = source.preprocess_cfg
    config = {
        WRITTEN_BY: US,
        "model_cfg": source.model_cfg,
        "preprocess_cfg": {
            key: preprocess[key] for key in ("mean", "std", "interpolation", "resize_mode")
        },
    }
    with exchanging(Path(folder), last=CONFIG) as staged:
        if hasattr(source.tokenizer, "save_pretrained"):
            source.tokenizer.save_pretrained(staged)
        checkpoint.save_tensors(staged / WEIGHTS, tensors)
        (staged / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_untrained(folder: Path) -> Source:
    """The architecture, preprocessing and tokenizer of a folder whose weights are not read, and may
    be damaged; its own are random.

    Raises:
        CheckpointError: the other files are missing or damaged.
    """
    model_cfg, preprocess_cfg = _read_parts(folder, but=(WEIGHTS,))
    module = instantiate(model_cfg, preprocess_cfg)
    return Source(module, model_cfg, folder_tokenizer(folder, model_cfg["text_cfg"]))


def _read_parts(folder: Path, but: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """model_cfg and preprocess_cfg of a folder whose files are as written, `but` for these."""
    config = _read_config(folder)
    verify_folder(folder, ours=config.get(WRITTEN_BY) == US, but=but)
    try:
        _check_text_tower(config["model_cfg"])
    except UsageError as error:
        raise UsageError(f"{folder / CONFIG}: {error}") from None
    model_cfg = check_model(config["model_cfg"], str(folder / CONFIG))
    preprocess_cfg = check_preprocess(config.get("preprocess_cfg") or {}, str(folder / CONFIG))
    return model_cfg, preprocess_cfg


def _load_folder(folder: Path) -> Source:
    if (folder / CONFIG).is_file() and not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"no CLIP in {folder}: it has no {WEIGHTS}")
    model_cfg, preprocess_cfg = _read_parts(folder)
    tokenizer = folder_tokenizer(folder, model_cfg["text_cfg"])
    tensors = checkpoint.load_tensors(folder / WEIGHTS)
    try:
        # First without memory, so that a config cannot ask for more than its weights fill.
        with torch.device("meta"):
            _check_shapes(instantiate(model_cfg, preprocess_cfg), tensors, folder)
        module = instantiate(model_cfg, preprocess_cfg)
    except CheckpointError:
        raise
    except Exception as error:  # whatever open_clip makes of sizes that do not fit each other
        raise CheckpointError(
            f"open_clip cannot build what {folder / CONFIG} describes: {_one_line(error)}"
        ) from error
    checkpoint.check_finite(tensors, folder / WEIGHTS)
    module.load_state_dict(tensors, strict=True)
    return Source(module, model_cfg, tokenizer)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        what = f"has no {CONFIG}" if folder.is_dir() else "is not a folder"
        raise CheckpointError(
            f"no CLIP in {folder}: it {what}; give a folder with {CONFIG} and {WEIGHTS}"
        )
    try:
        config = read_json(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {_one_line(error)}") from None
    parts = config.get("model_cfg") if isinstance(config, dict) else None
    required = {"embed_dim", "vision_cfg", "text_cfg"}
    if (
        not isinstance(config, dict)
        or not isinstance(parts, dict)
        or not required <= parts.keys()
        or not isinstance(parts["text_cfg"], dict)
    ):
        raise CheckpointError(f"{path} needs a model_cfg with embed_dim, vision_cfg and text_cfg")
    return config


def _check_shapes(module: nn.Module, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Raises CheckpointError where the module's tensors and those of the file differ."""

    def shape(tensor: torch.Tensor | None) -> str:
        return "no such tensor" if tensor is None else str(list(tensor.shape))

    expected = module.state_dict()
    for name in sorted(expected | tensors):
        by_config, in_file = shape(expected.get(name)), shape(tensors.get(name))
        if by_config != in_file:
            raise CheckpointError(
                f"{folder}: config and weights disagree on '{name}': {in_file} in {WEIGHTS}, "
                f"{by_config} by {CONFIG}; take both files from one model"
            )


def _load_listed(name: str) -> Source:
    import open_clip

    model, _, tag = name.rpartition("/")
    known = open_clip.list_models()
    if model.replace("/", "-") not in known:
        if name in known:
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none listed"
            raise UsageError(f"'{name}' needs a pretrained tag, as in {name}/TAG; tags: {tags}")
        near = difflib.get_close_matches(model, known, n=1)
        if not near:
            raise CheckpointError(
                f"no CLIP at '{name}': neither a folder with {CONFIG} nor an open_clip MODEL/TAG"
            )
        raise UsageError(f"open_clip has no model '{model}'; did you mean '{near[0]}/{tag}'?")
    model = model.replace("/", "-")
    if tag == RANDOM:
        model_cfg = open_clip.get_model_config(model)
        return Source(instantiate(model_cfg, {}), model_cfg, open_clip.get_tokenizer(model))
    pretrained = open_clip.get_pretrained_cfg(model, tag)
    if not pretrained:
        tags = open_clip.list_pretrained_tags_by_model(model)
        near = difflib.get_close_matches(tag, tags, n=1, cutoff=0.4) or tags
        raise UsageError(
            f"open_clip has no weights '{tag}' for {model}; did you mean {' or '.join(near)}?"
        )
    model_cfg = open_clip.get_model_config(model)
    # Weights trained with QuickGELU need it, whatever the config of the architecture says.
    quick_gelu = any(cfg.get("quick_gelu", False) for cfg in (model_cfg, pretrained))
    model_cfg["quick_gelu"] = quick_gelu
    _check_text_tower(model_cfg)
    try:
        open_clip.download_pretrained(pretrained)
    except Exception as error:  # one of many, by where the weights are hosted
        raise UsageError(
            f"the weights of {name} are not on this machine and cannot be downloaded "
            f"({_one_line(error)}): connect once, or give a local open_clip folder"
        ) from error
    with torch.random.fork_rng(devices=[]):
        module = open_clip.create_model(
            model, tag, force_quick_gelu=quick_gelu, require_pretrained=True
        )
    return Source(module, model_cfg, open_clip.get_tokenizer(model))


def _check_text_tower(model_cfg: dict[str, Any]) -> None:
    text = model_cfg["text_cfg"]
    foreign = next((key for key in ("hf_model_name", "embed_cls") if text.get(key)), None)
    if "multimodal_cfg" in model_cfg or foreign:
        raise UsageError(
            f"its text tower ({foreign or 'multimodal_cfg'}) is not open_clip's plain text "
            "transformer, the only one whose token features textdiff reads; take e.g. a ViT-B-32"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
