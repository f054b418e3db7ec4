"""The text-conditional U-Net: eps_hat = UNet(x_t, timestep, text) (DDPM, ADM, GLIDE, LDM).

    emb  = silu(MLP(sinusoid(timestep)) + W pooled + W_t z_i)
    text = token features, attended to at the chosen levels, and the tokens of z_i

    x_t ─ conv_in ─ down_blocks[0] ──── skips ────► up_blocks[2] ─ norm ─ silu ─ conv_out ─ eps_hat
                          ▼ half the size              ▲ twice the size
                    down_blocks[1] ──── skips ────► up_blocks[1]
                          ▼                            ▲
                    down_blocks[2] ──── skips ────► up_blocks[0]
                          └───────── mid_block ────────┘

The plain variant (`patch_size=1`) has the parameter names, shapes and arithmetic of diffusers'
`UNet2DConditionModel`; `pooled_dim` is its `class_embed_type="simple_projection"`. z_i is there in
an unCLIP decoder alone (`image_dim`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from textdiff.embeddings import timestep_embedding
from textdiff.models.attention import SpatialTransformer, TextSource, TransformerBlock
from textdiff.models.blocks import DownBlock, MidBlock, ResidualBlock, UpBlock
from textdiff.models.bound import BoundText, added, trimmed
from textdiff.models.config import UNetConfig
from textdiff.models.embeddings import ImageEmbedding, TimestepEmbedding
from textdiff.models.initial import zero_parameters
from textdiff.types import Conditioning, Images, Timesteps, TokenFeatures

Output = Float[Tensor, "rows outputs height width"]  # rows: of x_t, or of the texts bound


class UNet(nn.Module):
    """`unet(x_t, timestep, conditioning)`: (B, C, H, W) -> (B, C or 2C, H, W).

    Weights start as PyTorch's defaults, except that what each residual block and the network add
    at the end is zero: at first these blocks pass their input on and the output is 0, which keeps
    early gradients small at any depth (ADM). Attentions add something from the start, or text that
    enters through them alone would be looked at late.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, area = config.block_channels, config.patch_size**2

        self.conv_in = nn.Conv2d(config.in_channels * area, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], config.time_dim)
        self.class_embedding = (
            nn.Linear(config.pooled_dim, config.time_dim) if config.pooled_dim else None
        )
        self.image_embedding = None
        if config.image_dim:
            self.image_embedding = ImageEmbedding(
                config.image_dim, config.time_dim, config.cross_attention_dim
            )

        self.down_blocks, width, skips = nn.ModuleList(), channels[0], [channels[0]]
        for level in range(len(channels)):
            block = DownBlock(level, width, config)
            self.down_blocks.append(block)
            width, skips = channels[level], skips + block.skip_channels

        self.mid_block = MidBlock(config)

        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            joined = [skips.pop() for _ in range(config.layers[level] + 1)]
            self.up_blocks.append(UpBlock(level, width, joined, config))
            width = channels[level]

        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[0])
        self.conv_out = nn.Conv2d(channels[0], config.network_channels * area, 3, padding=1)
        zero_parameters(self.conv_out)

    def forward(
        self, x_t: Images, timestep: Timesteps, conditioning: Conditioning | BoundText | None
    ) -> Output:
        """One prediction for each image.

        Args:
            x_t: (B, in_channels, H, W), H and W multiples of `config.size_multiple`; with text
                bound by `bind` also B / k pictures for its B texts, see `BoundText`.
            timestep: (B,) int64, 0 = least noisy.
            conditioning: tokens (B, L, cross_attention_dim), pooled (B, pooled_dim) and image
                (B, image_dim) where the config names them (else they are ignored), mask (B, L) with
                a True in each row. Or the same bound by `bind`.

        Returns:
            (B, `config.network_channels`, H, W); evaluation differs from training by dropout alone.

        Raises:
            ValueError: conditioning or image do not fit the config, or bound text the timestep.
        """
        self._check_pictures(x_t)
        if isinstance(conditioning, BoundText):
            return self._forward_bound(x_t, timestep, conditioning)
        given = self._checked(conditioning)
        emb = added(self.embed_timesteps(timestep, x_t.dtype), self._pooled(given, x_t.dtype))
        text, mask = self._text(given, x_t.dtype)
        return self._run(x_t, F.silu(emb), text, mask)

    def _forward_bound(self, x_t: Images, timestep: Timesteps, bound: BoundText) -> Output:
        place = bound.place(timestep)
        deep = None if bound.deep is None else partial(bound.deep, place)
        return self.forward_embedded(x_t, F.silu(bound.embedding(place)), bound, deep)

    def forward_embedded(
        self,
        x_t: Images,
        emb: Tensor,
        bound: BoundText,
        deep: Callable[[Callable[[], Tensor]], Tensor] | None = None,
    ) -> Output:
        """`forward` with text bound, for a timestep that is given by its embedding alone.

        Args:
            emb: (1 or B, time_dim), silu of `BoundText.embedding`.
            deep: as in `_run`.
        """
        if len(bound) % len(x_t):
            raise ValueError(
                f"{len(x_t)} pictures for {len(bound)} bound texts; give as many, or a divisor of "
                "their number"
            )
        copies = len(bound) // len(x_t)
        if bound.pooled is not None or self.config.attention[0]:  # text enters at once
            x_t, copies = x_t.repeat(copies, 1, 1, 1), 1
        return self._run(x_t, emb.to(x_t.dtype), bound.keys_values, bound.mask, copies, deep)

    @torch.no_grad()
    def bind(self, conditioning: Conditioning, timesteps: Tensor) -> BoundText:
        """`conditioning` for `forward` at these ascending `timesteps` (N,), with what is the same
        at each of them computed. No gradient reaches the text, nor the weights that project it and
        embed the timesteps.

        Raises:
            ValueError: conditioning does not fit the config.
        """
        conditioning = trimmed(self._checked(conditioning))
        blocks = [block for block in self.modules() if isinstance(block, TransformerBlock)]
        text, mask = self._text(conditioning, self.conv_in.weight.dtype)
        exact = self.time_embedding.linear_1.weight.dtype
        return BoundText(
            keys_values={block.attn2: block.attn2.keys_values(text) for block in blocks},
            mask=mask,
            pooled=self._pooled(conditioning, exact),
            timesteps=tuple(timesteps.tolist()),
            time=self.embed_timesteps(timesteps.to(text.device), exact),
        )

    def embed_timesteps(self, timesteps: Timesteps, dtype: torch.dtype) -> Tensor:
        """MLP(sinusoids), (N, time_dim); the sinusoids are made in fp32 at any precision."""
        sinusoids = timestep_embedding(timesteps, self.config.block_channels[0])
        return self.time_embedding(sinusoids.to(dtype))

    def _run(
        self,
        x_t: Images,
        emb: Tensor,
        text: TextSource,
        mask: Tensor | None,
        copies: int = 1,
        deep: Callable[[Callable[[], Tensor]], Tensor] | None = None,
    ) -> Output:
        """The layers, with emb, text and mask as in `blocks`.

        copies: texts per picture; the first level on the way down sees each picture once.
        deep: is given what runs the deeper levels, and returns their output, or an earlier one.
        """

        def copied(x: Tensor) -> Tensor:
            return x.repeat(copies, 1, 1, 1) if copies > 1 else x

        skips = [self.conv_in(F.pixel_unshuffle(x_t, self.config.patch_size))]
        x, new_skips = self.down_blocks[0](skips[0], emb, text, mask)
        skips += new_skips

        def deeper() -> Tensor:
            return self._deeper(copied(x), emb, text, mask)

        x = deeper() if deep is None else deep(deeper)
        x = self.up_blocks[-1](x, [copied(skip) for skip in skips], emb, text, mask)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return F.pixel_shuffle(x, self.config.patch_size)

    def _deeper(self, x: Tensor, emb: Tensor, text: TextSource, mask: Tensor | None) -> Tensor:
        """All levels below the first: from the output of `down_blocks[0]` to the input of
        `up_blocks[-1]`."""
        first, *others = (block for block in self.down_blocks if isinstance(block, DownBlock))
        x, skips = first.halve(x)
        for block in others:
            x, of_layers = block(x, emb, text, mask)
            x, of_halving = block.halve(x)
            skips += of_layers + of_halving
        x = self.mid_block(x, emb, text, mask)
        for level in self.up_blocks[:-1]:
            x = level(x, skips, emb, text, mask)
        return x

    def checkpoint_activations(self) -> None:
        """From now on, residual blocks and attentions keep their inputs alone for the backward
        pass, which runs them again (Chen et al., arXiv 1604.06174)."""
        for module in self.modules():
            if isinstance(module, (ResidualBlock, SpatialTransformer)):
                again = partial(checkpoint, module.forward, use_reentrant=False)
                module.forward = again  # type: ignore[method-assign]  # of this instance alone

    def _pooled(self, conditioning: Conditioning, dtype: torch.dtype) -> Tensor | None:
        """What is added to the timestep's embedding, (B, time_dim): pooled feature and z_i
        projected; None where the network uses neither."""
        found = None
        if self.class_embedding is not None and conditioning.pooled is not None:
            found = self.class_embedding(conditioning.pooled.to(dtype))
        if self.image_embedding is not None and conditioning.image is not None:
            of_image = self.image_embedding.time(conditioning.image).to(dtype)
            found = of_image if found is None else found + of_image
        return found

    def _text(
        self, conditioning: Conditioning, dtype: torch.dtype
    ) -> tuple[TokenFeatures, Tensor | None]:
        """Tokens of the text, then those of z_i where the network uses it: (B, L or L + n, D), and
        their mask as attention takes it."""
        tokens, mask = conditioning.tokens.to(dtype), conditioning.mask
        if self.image_embedding is not None and conditioning.image is not None:
            of_image = self.image_embedding.tokens(conditioning.image).to(dtype)
            tokens = torch.cat([tokens, of_image], dim=1)
            if mask is not None:
                mask = F.pad(mask, (0, of_image.shape[1]), value=True)
        return tokens, _broadcast(mask)

    def _check_pictures(self, x_t: Images) -> None:
        config = self.config
        if x_t.shape[1] != config.in_channels:
            raise ValueError(
                f"x_t has {x_t.shape[1]} channels; this U-Net takes {config.in_channels}"
            )
        if any(side % config.size_multiple for side in x_t.shape[2:]):
            raise ValueError(
                f"x_t is {x_t.shape[2]}x{x_t.shape[3]}; this U-Net takes sides that are "
                f"multiples of {config.size_multiple}"
            )

    def _checked(self, conditioning: Conditioning | None) -> Conditioning:
        """`conditioning`, which is there and fits the config."""
        if conditioning is None:
            raise ValueError(
                "the U-Net needs conditioning; for an unconditional prediction give the features "
                "of the empty caption"
            )
        _check_width("token features", conditioning.tokens, self.config.cross_attention_dim)
        if self.config.pooled_dim:
            _check_width("the pooled feature", conditioning.pooled, self.config.pooled_dim)
        if self.config.image_dim:
            _check_width("the image embedding", conditioning.image, self.config.image_dim)
        return conditioning


def _broadcast(mask: Tensor | None) -> Tensor | None:
    """(B, L) -> (B, 1, 1, L), over heads and queries."""
    return None if mask is None else mask[:, None, None, :]


def _check_width(name: str, feature: Tensor | None, width: int) -> None:
    width_given = "missing" if feature is None else f"{feature.shape[-1]} wide"
    if feature is None or feature.shape[-1] != width:
        raise ValueError(
            f"{name} of the conditioning: {width_given}; this U-Net takes width {width}"
        )
