"""CLIP over open_clip: the one place that knows CLIP's pixel range, resizing and tokens.

    images, uint8 or [-1, 1] -> resize -> (p - mean) / std with p in [0, 1] -> image tower -> (B, E)
    captions -> ids (B, L) -> transformer -> final layer norm = tokens (B, L, W)
             -> at the end-of-text token = pooled (B, W) -> projection = projected (B, E)

A causal text tower does not see what follows a token. So what is padding in all captions of a batch
need not be computed. What a U-Net sees may come from earlier layers too: those say what each word
is, the last one what the words before it make of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.attention import faster_kernel
from textdiff.clip import source
from textdiff.clip.architecture import architecture_hash
from textdiff.clip.config import LAST_LAYER, ClipConfig
from textdiff.clip.tokens import Tokens, tokenize
from textdiff.embeddings import scaled_feature
from textdiff.errors import UsageError
from textdiff.types import Conditioning, Features, Images, TokenFeatures, TokenMask

if TYPE_CHECKING:
    from open_clip import CLIP, CustomTextCLIP
    from open_clip.transformer import TextTransformer

# mean = std = 1/2 give the image tower [-1, 1]: photographs' statistics do not fit other pictures.
FRESH_PREPROCESS = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
MAX_LOGIT_SCALE = 100.0


@dataclass(frozen=True)
class TextFeatures:
    """Output of the text tower for B captions.

    tokens: (B, L, W) after the final layer norm; features behind a caption's end have no meaning.
    pooled: (B, W) token features at the end-of-text token.
    projected: (B, E) pooled features projected into the space of images; not normalised.
    mask: (B, L) True at real tokens.
    """

    tokens: TokenFeatures
    pooled: Features
    projected: Float[Tensor, "batch embed_dim"]
    mask: TokenMask


class ClipModel(nn.Module):
    """An open_clip model (`.model`) with its preprocessing and tokenizer."""

    mean: Tensor  # (3, 1, 1), of pixels in [0, 1]
    std: Tensor

    def __init__(self, origin: source.Source) -> None:
        super().__init__()
        self.model: CLIP | CustomTextCLIP = origin.module
        self.frozen = False
        self._origin = origin
        self._preprocess = origin.preprocess_cfg
        for name in ("mean", "std"):
            values = torch.tensor(self._preprocess[name], dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @classmethod
    def build(cls, config: ClipConfig, seed: int) -> ClipModel:
        """Fresh weights, a function of `config` and `seed` alone; in training mode."""
        import open_clip

        model_cfg = config.to_open_clip()
        module = source.instantiate(model_cfg, FRESH_PREPROCESS, seed)
        tokenizer = open_clip.SimpleTokenizer(context_length=config.text.context_length)
        return cls(source.Source(module, model_cfg, tokenizer))

    @classmethod
    def load(cls, name: str | Path) -> ClipModel:
        """From an open_clip folder, or `MODEL/TAG` of open_clip's list; in eval mode.

        Raises: as `textdiff.clip.source.load`.
        """
        return cls(source.load(str(name))).eval()

    @classmethod
    def untrained_like(cls, folder: str | Path) -> ClipModel:
        """Of the architecture and tokenizer of a folder whose weights may be damaged.

        Raises: as `textdiff.clip.source.load_untrained`.
        """
        return cls(source.load_untrained(Path(folder))).eval()

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` and open_clip's `local-dir:` read."""
        source.save(self._origin, folder)

    def freeze(self) -> ClipModel:
        """In eval mode for good, without gradients of its own weights."""
        self.requires_grad_(False)
        self.frozen = True
        return self.eval()

    def train(self, mode: bool = True) -> ClipModel:
        """Training mode, unless frozen: then a parent's `.train()` changes nothing."""
        return super().train(mode and not self.frozen)

    @property
    def embed_dim(self) -> int:
        """E, the length of image features and projected text features."""
        return self._origin.model_cfg["embed_dim"]

    @property
    def text_width(self) -> int:
        """W, the length of a token feature."""
        return self._text.token_embedding.embedding_dim

    @property
    def context_length(self) -> int:
        """Most tokens of a caption, start and end included."""
        return self._text.context_length

    @property
    def image_size(self) -> int:
        """Side of the square that the image tower sees, in pixels."""
        size = self.model.visual.image_size
        height: int
        width: int
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            raise UsageError(f"this CLIP's image tower is {height} x {width}; take a square one")
        return height

    @property
    def preprocess(self) -> Mapping[str, Any]:
        """How pictures are made ready, as open_clip names it: mean, std, interpolation,
        resize_mode, fill_color."""
        return self._preprocess

    @property
    def tower_kind(self) -> str:
        """Of the image tower: "resnet" if it is convolutional, else "vit"."""
        from open_clip.modified_resnet import ModifiedResNet

        return "resnet" if isinstance(self.model.visual, ModifiedResNet) else "vit"

    @property
    def logit_scale(self) -> Tensor:
        """Scalar exp(t); the stored parameter is t."""
        return self.model.logit_scale.exp()

    @property
    def _text(self) -> TextTransformer | CLIP:
        """The module that has the text tower's parts: one of its own in `CustomTextCLIP`, the whole
        model in `CLIP`."""
        return getattr(self.model, "text", self.model)

    @torch.no_grad()
    def clamp_logit_scale_(self) -> None:
        """Clamps t to [0, log 100], as after each optimizer step."""
        self.model.logit_scale.clamp_(0.0, math.log(MAX_LOGIT_SCALE))

    def weights_hash(self) -> str:
        """Of both towers and the scale; see `checkpoint.weights_hash`."""
        return checkpoint.weights_hash(self.model)

    def architecture_hash(self) -> str:
        """Of its config and tokenizer: what decides features beside weights and preprocessing."""
        return architecture_hash(self._origin.model_cfg, self._origin.tokenizer)

    def forward(
        self, images: Tensor, captions: Tokens | list[str]
    ) -> tuple[Features, Features, Tensor]:
        """Unit image features (B, E), unit text features (B, E), scalar exp(t): for the loss."""
        image_features = F.normalize(self.encode_image(images), dim=-1)
        text_features = F.normalize(self.encode_text(captions).projected, dim=-1)
        return image_features, text_features, self.logit_scale

    # Text

    def tokenize(self, captions: list[str], length: int | None = None) -> Tokens:
        """Token ids (B, length), by default (B, context_length); longer captions are cut."""
        return tokenize(self._origin.tokenizer, captions, length or self.context_length)

    def encode_text(self, captions: Tokens | list[str], trim: bool = True) -> TextFeatures:
        """Text features; L is the longest caption of the batch where `trim` can apply.

        Args:
            trim: leave out what is padding in the whole batch. Done for a causal tower only, and
                changes nothing but the last bits.
        """
        tokens = captions if isinstance(captions, Tokens) else self.tokenize(captions)
        tokens = tokens.trimmed() if trim and self._is_trimmable else tokens
        tokens = tokens.to(self.model.logit_scale.device)
        states = self._text_states(tokens.ids)
        pooled = self._pool_text(states, tokens.ids)
        return TextFeatures(states, pooled, self._project_text(pooled), tokens.mask)

    @torch.no_grad()
    def conditioning(
        self,
        prompts: Tokens | list[str],
        length: int | None = None,
        layers: Sequence[int] = LAST_LAYER,
        padding: bool = False,
    ) -> Conditioning:
        """What a U-Net sees of `prompts`, all padded to one length.

        Token features behind a prompt's end are 0 and masked, or with `padding` what the tower
        makes of its padding, and not masked, as in Stable Diffusion. The pooled feature is the
        projected one scaled to norm sqrt(E), so that its elements have mean square 1.

        Args:
            prompts: `Tokens` keep the length they have.
            length: tokens per prompt, at most and by default the context length; longer prompts
                are cut and keep their end-of-text token.
            layers: whose token features, side by side in one of width W len(layers): 0, before any
                block; k, after k blocks; -1, after the last. Each goes through the final layer norm
                (as with diffusers' clip_skip).

        Raises:
            UsageError: this text tower cannot give `length` tokens per prompt, or has no such
                layer.
        """
        self.check_layers(layers)
        length = length or self.context_length
        if length > self.context_length or (
            length < self.context_length and not self._is_trimmable
        ):
            raise UsageError(
                f"this CLIP cannot give {length} tokens per prompt; use its context length "
                f"{self.context_length}" + (" or less" if self._is_trimmable else "")
            )
        tokens = prompts if isinstance(prompts, Tokens) else self.tokenize(prompts, length)
        with torch.autocast(self.mean.device.type, enabled=False):  # cached or not, the same bits
            features = self.encode_text(tokens, trim=not padding)
            shown = [self._layer_states(features, tokens, layer) for layer in layers]
        pooled = scaled_feature(features.projected)
        if padding:
            return Conditioning(torch.cat(shown, dim=-1), pooled)
        missing = tokens.ids.shape[1] - features.tokens.shape[1]
        real = torch.cat(shown, dim=-1).masked_fill(~features.mask.unsqueeze(-1), 0.0)
        return Conditioning(
            tokens=F.pad(real, (0, 0, 0, missing)),
            pooled=pooled,
            mask=F.pad(features.mask, (0, missing)),
        )

    @property
    def _is_trimmable(self) -> bool:
        """A causal tower that is not read out at the last position, padded or not."""
        return self._text.attn_mask is not None and self._pool_type != "last"

    @property
    def _pool_type(self) -> str:
        return getattr(self._text, "pool_type", None) or self._text.text_pool_type

    def check_layers(self, layers: Sequence[int]) -> None:
        """Raises UsageError if the text tower lacks one of them."""
        count = len(self._text.transformer.resblocks)
        for layer in layers:
            if not -1 <= layer <= count:
                raise UsageError(
                    f"text_layers has {layer}, but this CLIP's text tower has {count} layers; give "
                    f"0 (before the first) to {count}, or -1 for the last"
                )

    def _layer_states(self, features: TextFeatures, tokens: Tokens, layer: int) -> TokenFeatures:
        """Token features after `layer` blocks, at the length of `features`."""
        blocks = len(self._text.transformer.resblocks)
        if layer in (-1, blocks):
            return features.tokens
        ids = tokens.ids[:, : features.tokens.shape[1]].to(features.tokens.device)
        return self._text_states(ids, layer)

    def _text_states(self, ids: Tensor, layers: int | None = None) -> TokenFeatures:
        """open_clip's text tower up to the final layer norm, at any length up to the context.

        layers: blocks to run; none: all.
        """
        text, length = self._text, ids.shape[1]
        dtype = text.transformer.get_cast_dtype()
        x = text.token_embedding(ids).to(dtype) + text.positional_embedding[:length].to(dtype)
        causal = None if text.attn_mask is None else text.attn_mask[:length, :length]
        with faster_kernel(ids.device, length):
            if layers is None:
                x = text.transformer(x, attn_mask=causal)
            else:
                for block in text.transformer.resblocks[:layers]:
                    x = block(x, attn_mask=causal)
            states: TokenFeatures = text.ln_final(x)
        return states

    def _pool_text(self, states: TokenFeatures, ids: Tensor) -> Features:
        from open_clip.transformer import text_global_pool

        end = getattr(self._text, "eos_id", None) or getattr(self._text, "text_eos_id", None)
        return text_global_pool(states, ids, self._pool_type, eos_token_id=end)

    def _project_text(self, pooled: Float[Tensor, "batch width"]) -> Features:
        projection = self._text.text_projection
        if projection is None:
            return pooled
        is_layer = isinstance(projection, nn.Module)
        return projection(pooled) if is_layer else pooled @ projection

    # Images

    def encode_image(self, images: Tensor, tower: nn.Module | None = None) -> Features:
        """Image features (B, E), not normalised.

        Args:
            images: (B, 3, H, W), uint8 or float in [-1, 1], resized where (H, W) is not the
                tower's size. Differentiable for floats, which may leave the range (noised images).
            tower: an image tower of the same shape in place of this model's.
        """
        return self.run_tower(self.made_ready(images), tower)

    def made_ready(self, images: Tensor) -> Images:
        """(B, 3, s, s), resized and normalised, as the image tower reads pictures. images: as of
        `encode_image`."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (B, 3, H, W), got {tuple(images.shape)}")
        images = images.to(self.mean.device)
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype) * 2 / 255 - 1
        pixels = (self._resize(images.to(self.mean.dtype)) + 1) / 2
        return (pixels - self.mean) / self.std

    def run_tower(self, x: Images, tower: nn.Module | None = None) -> Features:
        """What the image tower makes of what it reads: pictures made ready, or latents; (B, E)."""
        tower = self.model.visual if tower is None else tower
        with faster_kernel(x.device, self._image_tokens):
            features: Features = tower(x)
        return features

    @property
    def _image_tokens(self) -> int:
        """Length of the rows that the image tower attends over; 0: unknown."""
        tower = self.model.visual
        holder = tower.attnpool if self.tower_kind == "resnet" else tower
        return len(getattr(holder, "positional_embedding", ()))

    def _resize(self, images: Images) -> Float[Tensor, "batch channels side side"]:
        """To the tower's square by the model's resize_mode, as open_clip's transform does."""
        side, mode = self.image_size, self._preprocess["resize_mode"]
        height, width = images.shape[-2:]
        if (height, width) == (side, side):
            return images
        fit = min(height, width) if mode == "shortest" else max(height, width)
        size = (side, side) if mode == "squash" else (side * height // fit, side * width // fit)
        kernel = "bilinear" if self._preprocess["interpolation"] == "bilinear" else "bicubic"
        resized = F.interpolate(images, size, mode=kernel, antialias=True)
        # Bicubic overshoots at edges. As in a picture file, what overshoots [-1, 1] is cut; noised
        # images reach further by themselves and keep their own range. These extremes are
        # differentiated too: a guide at x_t would lose 3 to 5% of its gradient.
        low = images.amin(dim=(1, 2, 3), keepdim=True).clamp(max=-1.0)
        high = images.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1.0)
        # Centred crop (`shortest`, negative margins) or padding (`longest`); `squash` needs none.
        top, left = (side - size[0]) // 2, (side - size[1]) // 2
        margins = (left, side - size[1] - left, top, side - size[0] - top)
        fill: float = 2 * self._preprocess["fill_color"] / 255 - 1
        return F.pad(resized.clamp(low, high), margins, value=fill)
