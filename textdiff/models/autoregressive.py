"""Sequences of tokens, each drawn given those before it.

    p(w_1..w_n) = prod_i p(w_i | w_<i)                    the chain rule
    w_i = first k with u_i < cdf[k],  cdf[k] = sum_{j<=k} p(j | w_<i),  u_i ~ U[0, 1)

`joint` and `log_joint` weigh sequences that are there; `inverse_cdf` draws one token and `sample` a
sequence. Uniforms are passed in, so a draw is a function of them. K is the number of tokens to
choose from. Half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.types import PerSample

Token = Int[Tensor, " batch"]  # 0..K-1
Tokens = Int[Tensor, "batch length"]
TokenTable = Float[Tensor, "batch length tokens"]  # a distribution over the K tokens per position


def joint(probabilities: TokenTable, tokens: Tokens) -> PerSample:
    """p(w_1..w_n) of `tokens` (B, n); probabilities[b, i, k] = p(k | w_<i): (B, n, K) -> (B,).

    It underflows for long sequences; use `log_joint` there.

    Raises:
        ValueError: shapes that do not fit, or probabilities that are none.
    """
    _check_probabilities(probabilities)
    return _chosen(_at_least_float32(probabilities), tokens).prod(-1)


def log_joint(logits: TokenTable, tokens: Tokens) -> PerSample:
    """log p(w_1..w_n) of `tokens` (B, n) by the softmax of `logits` (B, n, K): (B,).

    Logarithms of probabilities are logits too, -inf of an impossible token included.

    Raises:
        ValueError: shapes that do not fit.
    """
    return _chosen(_at_least_float32(logits).log_softmax(-1), tokens).sum(-1)


def inverse_cdf(probabilities: Float[Tensor, "batch tokens"], uniforms: PerSample) -> Token:
    """The first token k with u < cdf[k]: (B, K), (B,) -> (B,) int64.

    A token of probability 0 is never drawn. Where rounding leaves the cdf below u, it is the last
    possible token.

    Raises:
        ValueError: shapes that do not fit, uniforms outside [0, 1), or probabilities that are none.
    """
    if probabilities.ndim != 2 or uniforms.shape != probabilities.shape[:1]:
        shapes = f"{tuple(probabilities.shape)} and {tuple(uniforms.shape)}"
        raise ValueError(f"need probabilities (B, K) and uniforms (B,), got {shapes}")
    _check_probabilities(probabilities)
    if not ((uniforms >= 0) & (uniforms < 1)).all():
        raise ValueError("uniforms must lie in [0, 1)")
    possible = probabilities > 0
    below = uniforms[:, None] < _at_least_float32(probabilities).cumsum(-1)
    reached = (possible & below).int()  # a GPU's cumsum may waver where a token adds nothing
    last = probabilities.shape[1] - 1 - possible.int().flip(-1).argmax(-1)
    reached[torch.arange(len(last)), last] = 1
    return reached.argmax(-1)  # the first of equals


def sample(
    next_logits: Callable[[Tokens], Float[Tensor, "batch tokens"]],
    uniforms: Float[Tensor, "batch length"],
) -> Iterator[Tokens]:
    """Draws the tokens of B sequences one by one; yields those so far, (B, 1) to (B, n).

    Args:
        next_logits: tokens so far (B, i), i = 0..n-1 -> logits (B, K) of the next.
        uniforms: (B, n) in [0, 1), one for each token.

    Raises:
        ValueError: uniforms or logits of another shape, uniforms outside [0, 1), logits that are
            NaN or all -inf.
    """
    if uniforms.ndim != 2:
        raise ValueError(f"need uniforms (B, n), got {tuple(uniforms.shape)}")
    tokens = torch.empty(len(uniforms), 0, dtype=torch.int64, device=uniforms.device)
    for u in uniforms.unbind(1):
        probabilities = _at_least_float32(next_logits(tokens)).softmax(-1)
        tokens = torch.cat([tokens, inverse_cdf(probabilities, u)[:, None]], dim=1)
        yield tokens


def _chosen(table: TokenTable, tokens: Tokens) -> Float[Tensor, "batch length"]:
    """The entry of each token, at its position."""
    if table.ndim != 3 or tokens.shape != table.shape[:2]:
        shapes = f"{tuple(table.shape)} and {tuple(tokens.shape)}"
        raise ValueError(f"need a table (B, n, K) and tokens (B, n), got {shapes}")
    return table.gather(-1, tokens[..., None]).squeeze(-1)


def _check_probabilities(probabilities: Tensor) -> None:
    """Along the last axis: none negative or NaN, sum 1 but for the rounding of their type."""
    off = (probabilities.sum(-1) - 1).abs() > torch.finfo(probabilities.dtype).eps ** 0.5
    if not (probabilities >= 0).all() or off.any():
        raise ValueError("probabilities must be 0 or more and sum to 1")


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
