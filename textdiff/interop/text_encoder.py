"""open_clip's text tower as transformers' `CLIPTextModelWithProjection`.

    captions ─► CLIPTokenizer ─► ids ─► CLIPTextModelWithProjection ─► last_hidden_state = tokens
                                                                   └─► text_embeds = projected

Tensors are renamed, transposed or split, never computed with. What was written is read back and
run against ours, so that a version of transformers that reads it in another way is an error here.
`CLIPTextModel` reads the same folder and leaves the projection out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.clip.tokens import Tokens
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import disk_errors, follow_umask
from textdiff.interop.tokenizer import PROBES

if TYPE_CHECKING:
    from open_clip import CLIP
    from open_clip.transformer import TextTransformer
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

END_OF_TEXT = 49407
TOLERANCE = 1e-4
NAMES = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final": "final_layer_norm",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def text_encoder_to_transformers(
    clip: ClipModel, folder: str | Path | None = None
) -> CLIPTextModelWithProjection:
    """The text tower, in eval mode; written to `folder` if one is given.

    Raises:
        UsageError: a text tower that CLIPTextModel cannot be; names the part.
        CheckpointError: the outputs differ from ours.
    """
    from transformers import CLIPTextModelWithProjection

    text = getattr(clip.model, "text", clip.model)  # CustomTextCLIP has the tower apart
    theirs = CLIPTextModelWithProjection(_config(clip, text)).eval()
    tensors = _renamed(_tower(text))
    checkpoint.load_module(theirs, tensors, "the text tower for CLIPTextModelWithProjection")
    if folder is not None:
        with disk_errors(folder):
            theirs.save_pretrained(folder)
        follow_umask(Path(folder))
        theirs = CLIPTextModelWithProjection.from_pretrained(folder).eval()
    _check_outputs(clip, theirs)
    return theirs


def _config(clip: ClipModel, text: CLIP | TextTransformer) -> CLIPTextConfig:
    from transformers import CLIPTextConfig

    if text.attn_mask is None:
        raise UsageError("this CLIP's text tower is not causal, which CLIPTextModel always is")
    pool_type = getattr(text, "pool_type", None) or text.text_pool_type
    if pool_type not in ("argmax", "eos"):
        raise UsageError(
            f"this CLIP's text tower pools '{pool_type}'; CLIPTextModel reads the end-of-text token"
        )
    if not isinstance(text.text_projection, nn.Parameter):
        raise UsageError(
            "this CLIP's text projection is not one matrix, which CLIPTextModelWithProjection needs"
        )
    block = text.transformer.resblocks[0]
    return CLIPTextConfig(
        vocab_size=text.token_embedding.num_embeddings,
        hidden_size=clip.text_width,
        intermediate_size=block.mlp.c_fc.out_features,
        projection_dim=text.text_projection.shape[1],
        num_hidden_layers=len(text.transformer.resblocks),
        num_attention_heads=block.attn.num_heads,
        max_position_embeddings=clip.context_length,
        hidden_act=_activation(block.mlp.gelu),
        layer_norm_eps=text.ln_final.eps,
        bos_token_id=END_OF_TEXT - 1,
        eos_token_id=END_OF_TEXT,
        pad_token_id=END_OF_TEXT,
    )


def _activation(module: nn.Module) -> str:
    if type(module).__name__ == "QuickGELU":
        return "quick_gelu"
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else "gelu_pytorch_tanh"
    raise UsageError(
        f"this CLIP's text tower uses {type(module).__name__}; GELU and QuickGELU can be exported"
    )


def _tower(text: nn.Module) -> dict[str, Tensor]:
    """The tensors of the text tower alone; `CLIP` holds them beside the image tower's."""
    others = ("visual.", "logit_")
    state = text.state_dict()
    return {name: state[name] for name in state if not name.startswith(others)}


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under transformers' names."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        layer = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
        prefix = f"text_model.encoder.layers.{layer[1]}." if layer else "text_model."
        part = layer[2] if layer else name
        module, _, kind = part.rpartition(".")
        if part == "text_projection":
            renamed["text_projection.weight"] = tensor.T
        elif part in ("attn.in_proj_weight", "attn.in_proj_bias"):
            kind = part.rpartition("_")[2]
            for target, third in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{prefix}self_attn.{target}_proj.{kind}"] = third
        elif part in NAMES:
            renamed[prefix + NAMES[part]] = tensor
        elif module in NAMES:
            renamed[f"{prefix}{NAMES[module]}.{kind}"] = tensor
        else:
            raise UsageError(
                f"this CLIP's text tower has '{name}', which CLIPTextModel lacks; "
                "take one of open_clip's plain text towers"
            )
    return renamed


@torch.no_grad()
def _check_outputs(clip: ClipModel, theirs: nn.Module) -> None:
    import transformers

    tokens: Tokens = clip.tokenize(list(PROBES))
    ours = clip.encode_text(tokens, trim=False)
    output = theirs.to(ours.tokens.device)(tokens.ids.to(ours.tokens.device))
    pairs = {
        "token features": (output.last_hidden_state[ours.mask], ours.tokens[ours.mask]),
        "projected features": (output.text_embeds, ours.projected),
    }
    for what, (one, other) in pairs.items():
        error = (one - other).abs().max().item()
        if not error <= TOLERANCE * max(1.0, other.abs().max().item()):
            raise CheckpointError(
                f"the exported text tower's {what} differ from ours by up to {error:.2g}: "
                f"transformers {transformers.__version__} is not one that textdiff can export to; "
                "use another version"
            )
    theirs.to("cpu")
