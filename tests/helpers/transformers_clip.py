"""A CLIP of ours as transformers' CLIPModel with its processor: the same weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff.clip import ClipConfig, ClipModel
from textdiff.interop import text_encoder_to_transformers, tokenizer_to_transformers

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPProcessor

NAMES = {  # parts of the image tower's, in this order
    "conv1.": "embeddings.patch_embedding.",
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre": "pre_layrnorm",
    "ln_post": "post_layernorm",
    "transformer.resblocks": "encoder.layers",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.": "self_attn.",
    "in_proj_": "in_proj.",
    "c_fc": "fc1",
    "c_proj": "fc2",
}


def clip_to_transformers(clip: ClipModel) -> CLIPModel:
    """In eval mode; of a CLIP of open_clip's plain towers with GELU."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    tower, text = clip.model.visual, text_encoder_to_transformers(clip)
    block = tower.transformer.resblocks[0]
    vision = CLIPVisionConfig(
        hidden_size=tower.conv1.out_channels,
        intermediate_size=block.mlp.c_fc.out_features,
        num_hidden_layers=len(tower.transformer.resblocks),
        num_attention_heads=block.attn.num_heads,
        image_size=clip.image_size,
        patch_size=tower.conv1.kernel_size[0],
        projection_dim=clip.embed_dim,
        hidden_act="gelu",
    )
    config = CLIPConfig(
        text_config=text.config.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=clip.embed_dim,
    )
    theirs = CLIPModel(config)
    scale = {"logit_scale": clip.model.logit_scale}
    theirs.load_state_dict({**text.state_dict(), **image_tensors(tower), **scale})
    return theirs.eval()


def image_tensors(tower: nn.Module) -> dict[str, Tensor]:
    """Those of open_clip's image tower under transformers' names."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tower.state_dict().items():
        if name == "proj":
            renamed["visual_projection.weight"] = tensor.T
            continue
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        if "in_proj" in name:
            for target, third in zip("qkv", tensor.chunk(3), strict=True):
                renamed["vision_model." + name.replace("in_proj", f"{target}_proj")] = third
        else:
            renamed["vision_model." + name] = tensor
    return renamed


def processor_of(clip: ClipModel) -> CLIPProcessor:
    """What makes pictures and captions ready for `clip_to_transformers(clip)`."""
    from transformers import CLIPImageProcessor, CLIPProcessor

    side = clip.image_size
    images = CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=list(clip.preprocess["mean"]),
        image_std=list(clip.preprocess["std"]),
    )
    return CLIPProcessor(image_processor=images, tokenizer=tokenizer_to_transformers(clip))


class FeaturesOf(nn.Module):
    """A CLIPModel whose features are tensors, as they were before transformers 5: what torchmetrics
    1.9 expects."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip, self.config = clip, clip.config

    def get_image_features(self, pixels: Tensor) -> Tensor:
        return tensor_of(self.clip.get_image_features(pixels))

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        return tensor_of(self.clip.get_text_features(ids, mask))


def tensor_of(features: object) -> Tensor:
    return getattr(features, "pooler_output", features)


def small_clip() -> ClipModel:
    """Of 16 x 16 pictures and 12 tokens, with random weights none of which is left at 0 or 1."""
    tower = {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 2}
    text = {"context_length": 12, "width": 32, "heads": 2, "layers": 2}
    config = ClipConfig.model_validate({"image": tower, "text": text, "embed_dim": 24})
    clip = ClipModel.build(config, seed=0)
    rng = torch.Generator().manual_seed(0)
    for name, parameter in clip.model.named_parameters():
        if parameter.ndim == 1:
            mean = float("ln" in name and "weight" in name)
            parameter.data = mean + 0.1 * torch.randn(parameter.shape, generator=rng)
    return clip.freeze()
