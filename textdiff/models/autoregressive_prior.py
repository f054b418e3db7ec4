"""The autoregressive prior: codes of z_i, each given the caption and those before (unCLIP, 2.2).

    caption tokens, z_t, start, dot, c_1, ..., c_{K-1} ── causal transformer
                           ▼     ▼    ▼         ▼
               logits of  dot   c_1  c_2  ...  c_K

    dot = bucket of z_i . z_t;   log p(c | caption, dot) = sum_k log p(c_k | c_<k, caption, dot)

The dot product is what is asked for: drawing takes it from the upper half of p(dot | caption). Its
buckets hold equally many training embeddings each. Without a caption, as guidance needs it, there
is a bucket of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textdiff.models.autoregressive import log_joint
from textdiff.models.caption_tokens import run_caption
from textdiff.models.causal import CausalBlocks, Seen
from textdiff.models.codes import Codes, EmbeddingCodes, PrincipalComponents
from textdiff.models.prior_config import AutoregressivePriorConfig
from textdiff.types import Conditioning, Features, PerSample, TokenFeatures

Dots = Int[Tensor, " batch"]  # 0..num_dots-1, and num_dots without a caption
Logits = Float[Tensor, "batch codes buckets"]
DotLogits = Float[Tensor, "batch dots"]


class AutoregressivePrior(nn.Module):
    """`prior(codes, dots, conditioning)`: (B, K) codes -> (B, K, num_buckets) logits of them, and
    (B, num_dots) of the dots.

    `codes` turns embeddings into codes and back; `fit` fills its tables and those of the dots.
    """

    def __init__(self, config: AutoregressivePriorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.codes = EmbeddingCodes(config.embed_dim, config.num_components, config.num_buckets)
        edges = torch.zeros(config.num_dots - 1)
        self.dot_edges = nn.Parameter(edges, requires_grad=False)
        self.encoder_hidden_states_proj = nn.Linear(config.text_width, width)
        self.embedding_proj = nn.Linear(config.embed_dim, width)
        self.dot_embedding = nn.Embedding(config.num_dots + 1, width)
        self.code_embedding = nn.Embedding(config.num_buckets, width)
        self.start_embedding = nn.Parameter(0.02 * torch.randn(1, 1, width))
        # the caption, z_t, start, dot, and all codes but the last
        places = config.context_length + 2 + config.num_components
        self.positional_embedding = nn.Parameter(0.02 * torch.randn(1, places, width))
        self.transformer_blocks = CausalBlocks(config)
        self.norm_out = nn.LayerNorm(width)
        self.to_dot_logits = nn.Linear(width, config.num_dots)
        self.to_logits = nn.Linear(width, config.num_buckets)

    @torch.no_grad()
    def fit(self, embeddings: Features, dots: Float[Tensor, " pairs"]) -> PrincipalComponents:
        """Fills the tables from training embeddings (n, E) and the cosines of images to their
        captions (pairs,). Raises ValueError as `EmbeddingCodes.fit`."""
        shares = torch.arange(1, self.config.num_dots) / self.config.num_dots
        self.dot_edges.copy_(dots.double().quantile(shares.double()))
        return self.codes.fit(embeddings)

    def dot_buckets(self, dots: PerSample) -> Dots:
        """Of cosines (B,)."""
        return torch.bucketize(dots.to(self.dot_edges).contiguous(), self.dot_edges, right=True)

    @property
    def no_caption(self) -> int:
        """The bucket that stands for none."""
        return self.config.num_dots

    def forward(
        self, codes: Codes, dots: Dots, conditioning: Conditioning
    ) -> tuple[Logits, DotLogits]:
        """Logits of each code given those before it and the dot, and of the dot.

        Args:
            conditioning: as that of `DiffusionPrior.forward`.

        Raises:
            ValueError: conditioning that does not fit the config.
        """
        tokens = [self.dot_embedding(dots)[:, None], self.code_embedding(codes[:, :-1])]
        start = self.start_embedding.to(tokens[0].dtype).expand(len(codes), -1, -1)
        seen = run_caption(self, conditioning)
        states, _ = self._run(torch.cat([start, *tokens], dim=1), 0, seen)
        return self.to_logits(states[:, 1:]), self.to_dot_logits(states[:, 0])

    def log_prob(self, codes: Codes, dots: Dots, conditioning: Conditioning) -> PerSample:
        """log p(codes | caption, dot) in nats, (B,)."""
        logits, _ = self(codes, dots, conditioning)
        return log_joint(logits, codes)

    @torch.no_grad()
    def bind(self, conditioning: Conditioning) -> Seen:
        """The caption, run once for all that is drawn of it. Raises ValueError as `forward`."""
        return run_caption(self, conditioning)

    @torch.no_grad()
    def begin(self, bound: Seen) -> tuple[DotLogits, Seen]:
        """Logits of the dot (B, num_dots), and what `next_logits` goes on from.

        bound: captions from `bind`.
        """
        start = self.start_embedding.expand(len(bound), -1, -1)
        states, seen = self._run(start, 0, bound)
        return self.to_dot_logits(states[:, 0]), seen

    def next_logits(self, begun: Seen, dots: Dots) -> Callable[[Codes], Tensor]:
        """What `autoregressive.sample` asks for: codes so far (B, i) -> logits (B, num_buckets) of
        the next. Each call goes on from the one before, the first with no codes.

        begun: from `begin`.
        """
        seen = begun

        @torch.no_grad()
        def next_logits(codes: Codes) -> Tensor:
            nonlocal seen
            place = codes.shape[1]
            newest = self.code_embedding(codes[:, -1]) if place else self.dot_embedding(dots)
            states, seen = self._run(newest[:, None], 1 + place, seen)
            return self.to_logits(states[:, 0])

        return next_logits

    def _run(self, tokens: Tensor, place: int, seen: Seen) -> tuple[TokenFeatures, Seen]:
        """What becomes of tokens (B, N, width); place: of the first one, 0 that of the start."""
        first, count = self.config.context_length + 1 + place, tokens.shape[1]
        x = tokens + self.positional_embedding[:, first : first + count].to(tokens.dtype)
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        x, seen = self.transformer_blocks(x, real, seen)
        return self.norm_out(x), seen
