"""The part of a U-Net's work that is the same at every step of a sampling run, done once before it.

    keys, values = W_k tokens, W_v tokens          of every attention to the text, once per prompt,
                                                   padding that all prompts have left out
    time[n]      = MLP(sinusoid(timesteps[n]))     of all steps, in one batch
    deep         = what the deeper levels put out, kept for some steps (DeepCache, arXiv 2312.00858)

`UNet.bind` makes a `BoundText`, which `UNet.forward` takes in place of a Conditioning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from textdiff.timesteps import distinct_timesteps
from textdiff.types import Conditioning, Timesteps

if TYPE_CHECKING:
    from textdiff.models.attention import Attention, KeysValues


class DeepCache:
    """Keeps the output of the deeper levels for the `every - 1` steps that follow a full one.

    It belongs to one run of one batch. Steps are told apart by their place in the ascending grid: a
    step that is no successor of the full one, or too late a one, is run in full.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.kept: tuple[int, Tensor] | None = None

    def __call__(self, place: int, run: Callable[[], Tensor]) -> Tensor:
        """What was kept, or else what `run()` gives, which is kept without its graph."""
        if self.kept is not None and 0 < self.kept[0] - place < self.every:
            return self.kept[1]
        output = run()
        self.kept = place, output.detach()
        return output


@dataclass(frozen=True)
class BoundText:
    """B prompts and N timesteps as the layers of one U-Net take them.

    A call may give fewer pictures, B / k of them: the output then holds each picture with each of
    the k texts that are bound to it, rows B / k apart, as classifier-free guidance asks for with
    k = 2. What comes before the text is computed once per picture.

    keys_values: of each attention to the text, (B, heads, L, head_dim) both.
    mask: (B, 1, 1, L) True where a token is real; None: all are.
    pooled: (B, time_dim), the pooled feature projected; None where the network uses none.
    timesteps: N of them, ascending, the only ones that it can be called with; all rows of a call
        share theirs.
    time: (N, time_dim).
    deep: None: every step runs the whole network.
    """

    keys_values: dict[Attention, KeysValues]
    mask: Tensor | None
    pooled: Tensor | None
    timesteps: tuple[int, ...]
    time: Tensor
    deep: DeepCache | None = None

    def __getitem__(self, rows: slice | list[int] | Tensor) -> BoundText:
        """These prompts, in this order, with nothing kept of the deeper levels."""
        if isinstance(rows, list):  # once to a GPU, not once for each of the tensors
            rows = torch.tensor(rows, dtype=torch.int64, device=self.time.device)

        def pick(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[rows]

        pairs = {key: (k[rows], v[rows]) for key, (k, v) in self.keys_values.items()}
        return replace(
            self, keys_values=pairs, mask=pick(self.mask), pooled=pick(self.pooled), deep=None
        )

    def reusing(self, every: int) -> BoundText:
        """The same, running the deeper levels at every `every`-th step alone; 1: at each."""
        return replace(self, deep=DeepCache(every) if every > 1 else None)

    def __len__(self) -> int:
        """B."""
        keys, _ = next(iter(self.keys_values.values()))
        return len(keys)

    @property
    def tensors(self) -> list[Tensor]:
        """What the layers read of the text, in a fixed order."""
        of_attention = [tensor for pair in self.keys_values.values() for tensor in pair]
        return of_attention if self.mask is None else [*of_attention, self.mask]

    def with_tensors(self, tensors: Sequence[Tensor]) -> BoundText:
        """The same with others of these shapes in their place."""
        pairs = zip(tensors[0::2], tensors[1::2], strict=False)  # the mask, if any, stands alone
        return replace(
            self,
            keys_values=dict(zip(self.keys_values, pairs, strict=True)),
            mask=None if self.mask is None else tensors[-1],
        )

    def place(self, timestep: Timesteps) -> int:
        """Where in `timesteps` the one stands that all rows (B,) share.

        Raises:
            ValueError: it was not bound, or the rows differ.
        """
        distinct = distinct_timesteps(timestep)
        if len(distinct) > 1:
            raise ValueError(
                f"timesteps {sorted(distinct)} in one call; all rows of bound text share one"
            )
        (wanted,) = distinct
        if wanted not in self.timesteps:
            raise ValueError(
                f"timestep {wanted} was not bound; bound are {', '.join(map(str, self.timesteps))}"
            )
        return self.timesteps.index(wanted)

    def embedding(self, place: int) -> Tensor:
        """MLP(sinusoid(timesteps[place])) + W pooled: (1 or B, time_dim)."""
        return added(self.time[place : place + 1], self.pooled)


def trimmed(conditioning: Conditioning) -> Conditioning:
    """Without the tokens that are padding in every row."""
    if conditioning.mask is None:
        return conditioning
    length = int(conditioning.mask.any(dim=0).nonzero().max()) + 1
    return replace(
        conditioning,
        tokens=conditioning.tokens[:, :length],
        mask=conditioning.mask[:, :length],
    )


def added(time: Tensor, pooled: Tensor | None) -> Tensor:
    """The embedding of timestep and pooled text, where there is such."""
    return time if pooled is None else time + pooled
