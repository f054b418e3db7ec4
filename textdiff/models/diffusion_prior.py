"""The diffusion prior: z_i_hat = DiffusionPrior(x_t, timestep, caption) (unCLIP, section 2.2).

    caption tokens, z_t, timestep, x_t, query ── causal transformer ──► at the query: z_i_hat
    x = (z_i - clip_mean) / clip_std;   mean 0 and std 1 / sqrt(E) unless asked otherwise

A unit embedding's coordinates have mean square 1 / E: scaled so, they are as large as the noise.
The caption and z_t come first and so see neither timestep nor x_t: while a prompt is sampled they
are run once (`bind`).

Where token features are as wide as embeddings, the weights are those of diffusers'
`PriorTransformer`, name by name: see `interop.prior`. That one is not used itself: it has no other
width for tokens, repeats its mask for each head, and runs the caption again at each step.
"""

from __future__ import annotations

import torch
from torch import nn

from textdiff.embeddings import timestep_embedding
from textdiff.models.caption_tokens import run_caption
from textdiff.models.causal import CausalBlocks, Seen
from textdiff.models.embeddings import TimestepEmbedding
from textdiff.models.prior_config import DiffusionPriorConfig
from textdiff.types import Conditioning, Features, Timesteps

BEHIND_CAPTION = 4  # z_t, timestep, x_t, query


class DiffusionPrior(nn.Module):
    """`prior(x_t, timestep, conditioning)`: (B, E) -> (B, E), both scaled as x above."""

    def __init__(self, config: DiffusionPriorConfig) -> None:
        super().__init__()
        self.config = config
        width, dim = config.width, config.embed_dim
        self.time_embedding = TimestepEmbedding(width, width)
        self.proj_in = nn.Linear(dim, width)
        self.embedding_proj = nn.Linear(dim, width)
        self.encoder_hidden_states_proj = nn.Linear(config.text_width, width)
        places = config.context_length + BEHIND_CAPTION
        self.positional_embedding = nn.Parameter(torch.zeros(1, places, width))
        self.prd_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.transformer_blocks = CausalBlocks(config)
        self.norm_out = nn.LayerNorm(width)
        self.proj_to_clip_embeddings = nn.Linear(width, dim)
        # part of the weights, and of their average, but not trained
        self.clip_mean = nn.Parameter(torch.zeros(1, dim), requires_grad=False)
        self.clip_std = nn.Parameter(torch.full((1, dim), dim**-0.5), requires_grad=False)

    def scaled(self, embeddings: Features) -> Features:
        """x of unit embeddings (B, E)."""
        return (embeddings - self.clip_mean) / self.clip_std

    def unscaled(self, x: Features) -> Features:
        """The inverse of `scaled`."""
        return x * self.clip_std + self.clip_mean

    def forward(
        self, x_t: Features, timestep: Timesteps, conditioning: Conditioning | Seen
    ) -> Features:
        """One prediction of x_0 for each row.

        Args:
            x_t: (B, E) noised.
            timestep: (B,) int64, 0 = least noisy.
            conditioning: tokens (B, L, text_width), pooled (B, E) of norm sqrt(E), mask (B, L). Or
                the same bound by `bind`.

        Raises:
            ValueError: conditioning that does not fit the config.
        """
        seen = conditioning if isinstance(conditioning, Seen) else run_caption(self, conditioning)
        sinusoids = timestep_embedding(timestep, self.config.width).to(x_t.dtype)
        rows = [self.time_embedding(sinusoids), self.proj_in(x_t)]
        query = self.prd_embedding.to(x_t.dtype).expand(len(x_t), -1, -1)
        x = torch.cat([torch.stack(rows, dim=1), query], dim=1)
        x = x + self.positional_embedding[:, -x.shape[1] :].to(x.dtype)
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        x, _ = self.transformer_blocks(x, real, seen)
        return self.proj_to_clip_embeddings(self.norm_out(x[:, -1]))

    @torch.no_grad()
    def bind(self, conditioning: Conditioning) -> Seen:
        """`conditioning` for `forward` at any timestep. Raises ValueError as `forward`."""
        return run_caption(self, conditioning)
