"""Sections of the settings of sampling: guidance by a CLIP, a choice among candidates, unCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.sampling.config import most_halvings


def check_interval(name: str, ends: tuple[int, int] | None) -> None:
    """Raises ValueError if the interval of timesteps holds none."""
    if ends and ends[0] > ends[1]:
        raise ValueError(f"{name} {ends[0]} {ends[1]} is empty; give the lower end first")


class ClipGuidanceConfig(Settings):
    """How the gradient of a CLIP guides."""

    scale: float = Field(
        0.0, ge=0, description="guidance by the gradient of a CLIP's logit; 0 is off, 1 Bayes' rule"
    )
    guide: str | None = Field(
        None, description="folder of the CLIP or noised CLIP that guides; none: the model's own"
    )
    at: Literal["auto", "x_t", "x_0"] = Field(
        "auto",
        description="what CLIP sees: x_t, which takes a noised CLIP, or x_0_hat; "
        "auto: x_t if it can",
    )
    prompts: tuple[str, ...] = Field(
        (), description="what CLIP guides towards in place of the prompt; one or several"
    )
    weights: tuple[float, ...] = Field(
        (), description="one per clip prompt, below 0 to push away; none: all 1"
    )
    interval: tuple[int, int] | None = Field(
        None, description="lowest and highest timestep that CLIP guides at; none: all"
    )
    every: int = Field(1, ge=1, description="CLIP guides every k-th step only")
    through_unet: bool = Field(
        True, description="x_0: with the U-Net's Jacobian; without it is faster and cruder"
    )
    cutouts: int = Field(
        0, ge=0, description="x_0: random views that CLIP sees in place of the whole picture"
    )
    normalise: bool = Field(
        False,
        description="only the gradient's direction counts: it shifts eps_hat by "
        "clip_guidance_scale times the noise, at every step; in latents at most by what moves "
        "x_0_hat by an rms of 1",
    )
    gradient_max: float | None = Field(
        None,
        gt=0,
        description="most that the gradient may shift eps_hat, in sizes of the noise; in latents "
        "never more than what moves x_0_hat by an rms of 1",
    )

    @model_validator(mode="after")
    def _check(self) -> ClipGuidanceConfig:
        check_interval("clip_guidance_interval", self.interval)
        if self.weights and len(self.weights) != len(self.prompts):
            raise ValueError(
                f"{len(self.weights)} clip_weights for {len(self.prompts)} clip_prompts; "
                "give one for each"
            )
        return self


def check_selection(best_of: int, judge: str | None, keep_after: Sequence[float]) -> None:
    """Raises ValueError if so many candidates cannot be chosen among so."""
    for share in keep_after:
        if not 0 < share < 1:
            raise ValueError(
                f"keep_after {share:g} is no share of the steps between none and all; give "
                "numbers above 0 and below 1"
            )
    if best_of == 1 and (keep_after or judge is not None):
        name = "keep_after" if keep_after else "judge"
        raise ValueError(
            f"{name} with best_of 1, where there is nothing to choose; give best_of 2 or more"
        )
    most = most_halvings(best_of)
    if len(keep_after) > most:
        raise ValueError(
            f"keep_after names {len(keep_after)} halvings, but after {most} one of best_of "
            f"{best_of} is left; name fewer, or give a larger best_of"
        )


class SelectionConfig(Settings):
    """How many candidates start for each picture, and which of them a CLIP lets go on."""

    best_of: int = Field(
        1,
        ge=1,
        description="trajectories that start for each picture; the best is kept; 1: no choice",
    )
    judge: str | None = Field(
        None,
        description="folder of the CLIP or noised CLIP that chooses among them; none: the model's "
        "own; it must not evaluate the pictures afterwards",
    )
    keep_after: tuple[float, ...] = Field(
        (),
        description="shares of the steps after each of which the weaker half stops, a noised CLIP "
        "judging x_t and a clean one x_0_hat; none: all finish",
    )

    @model_validator(mode="after")
    def _check(self) -> SelectionConfig:
        check_selection(self.best_of, self.judge, self.keep_after)
        return self


class UnclipConfig(Settings):
    """Where an unCLIP decoder's embedding comes from, beside a picture to vary."""

    prior: str | None = Field(
        None,
        description="folder of the prior that turns the prompt into an embedding; text: the "
        "prompt's own embedding takes its place",
    )
    prior_candidates: int = Field(
        2, ge=1, description="embeddings drawn for each picture; the nearest to the text is kept"
    )
    prior_guidance_scale: float = Field(
        1.0, ge=0, description="classifier-free guidance of the prior; 1 is off"
    )
    prior_steps: int = Field(25, ge=1, description="denoising steps of a diffusion prior")
    share: float | None = Field(
        None, ge=0, le=1, description="how far from `vary` to go, to `vary_to` or `text_to`"
    )
    text_from: str | None = Field(None, description="what the picture to vary shows")
    text_to: str | None = Field(None, description="what it is to show instead")
    keep_noise: bool = Field(
        False,
        description="vary: start from the noise that DDIM takes the picture to, so that share 0 "
        "gives it back; false: new noise",
    )
