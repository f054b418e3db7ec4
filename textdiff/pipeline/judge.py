"""A CLIP that chooses among candidates for a picture, as `TextToImage` uses it.

    score = cos(f(x), g)                                    g: feature of the picture's own prompt

    noised CLIP    f(x_t, t) under way, f(x_0, 0) of finished pictures
    clean CLIP     f(x_0_hat) under way, which costs no network evaluation; f(x_0)

Pictures are chosen for what this CLIP thinks of them, so it flatters them: it must not evaluate
them, nor any that it was fine-tuned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.errors import UsageError
from textdiff.guidance.similarity import image_encoder, similarity, unit_text_features
from textdiff.latent_space import LatentSpace
from textdiff.pictures import PictureCodec
from textdiff.pipeline.clip_guide import check_reads, of_latents
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.sections import SelectionConfig
from textdiff.sampling.base import Step
from textdiff.timesteps import shared_timestep
from textdiff.types import Features, PerSample, Samples


@dataclass(frozen=True)
class ClipJudge:
    """A frozen CLIP and the prompts of P pictures.

    target: (P, E), unit features of the prompts.
    grid: (N,), the ascending timesteps of the steps that it looks at.
    codec: of what is diffused.
    """

    clip: ClipModel | NoisedClip
    target: Features
    grid: Tensor
    codec: PictureCodec

    @classmethod
    @torch.no_grad()
    def of_prompts(
        cls,
        clip: ClipModel | NoisedClip,
        prompts: Sequence[str],
        grid: Tensor,
        codec: PictureCodec,
    ) -> ClipJudge:
        return cls(clip, unit_text_features(clip, prompts), grid, codec)

    @torch.no_grad()
    def __call__(self, step: Step) -> PerSample:
        """(n P,): the cosine of each sample with its prompt. step: of n samples of each picture,
        as `sampling.tournament` orders them."""
        x, timestep = self._seen(step)
        reward, pictures = similarity(image_encoder(self.clip), self.target), len(self.target)
        shared = shared_timestep(timestep, pictures, x.device)
        return torch.cat([reward(part, shared) for part in x.split(pictures)])

    def _seen(self, step: Step) -> tuple[Samples, int]:
        """What the CLIP looks at after `step`, and its timestep."""
        if step.index and isinstance(self.clip, NoisedClip):
            return step.x_t, int(self.grid[step.index - 1])
        x_0 = step.x_0_hat if step.index else step.x_t
        if of_latents(self.clip):
            return x_0, 0
        return self.codec.images(x_0).clamp(-1, 1), 0


def check_judge(
    clip: ClipModel | NoisedClip,
    prompts: Sequence[str],
    selection: SelectionConfig,
    model: ModelConfig,
    space: LatentSpace | None,
) -> None:
    """Raises UsageError if `clip` cannot choose among the model's pictures of `prompts` so. space:
    as of `check_guide`."""
    if isinstance(clip, NoisedClip):
        name = selection.judge or "the judge"
        check_reads(name, clip, model, space, on_x_t=bool(selection.keep_after))
    if any(not prompt.strip() for prompt in prompts):
        raise UsageError(
            f"best_of {selection.best_of} with an empty prompt, by which no CLIP can choose; give "
            "a prompt, or leave out best_of"
        )
