"""Whose embedding z_i an unCLIP decoder draws in each picture of a plan.

DrawPlan, prompts ── the prior that its settings name ──┐
DrawPlan, pictures to vary ── `unclip.varied_embedding` ┼──► DrawPlan with `image` (n, E)
DrawPlan, embeddings ───────────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.data.embedding_space import check_same_space
from textdiff.errors import UsageError
from textdiff.models.config import UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.plan import DrawPlan, check_image
from textdiff.pipeline.prior.space import space_of
from textdiff.pipeline.sections import UnclipConfig
from textdiff.pipeline.unclip import drawn_embeddings, text_embeddings, varied_embedding
from textdiff.types import Features

if TYPE_CHECKING:
    from textdiff.pipeline.prior import Prior

TEXT = "text"  # in place of a prior's folder


@dataclass(frozen=True)
class EmbeddingSource:
    """Of a model with this CLIP and this U-Net; one that draws from text alone takes none.

    priors: by the name that settings give them; loaded as they are needed, and kept.
    """

    clip: ClipModel
    unet: UNetConfig
    priors: dict[str, Prior]

    def of_prompts(self, plan: DrawPlan) -> DrawPlan:
        """`plan` with the embeddings that the prior of its settings draws of its prompts.

        Raises:
            UsageError: settings that do not go with the model; a prior of another CLIP.
            CheckpointError: no prior there.
        """
        self._check(plan.config)
        if plan.config.unclip.prior == TEXT:
            return self._given(plan, text_embeddings(self.clip, plan.prompts))
        prior = self.prior_of(plan.config)
        if prior is None:
            return self._given(plan, None)
        drawn = drawn_embeddings(prior, plan.prompts, plan.config, plan.first)
        return replace(self._given(plan, drawn), prior_weights=prior.weights_hash())

    def given(self, plan: DrawPlan, image: Features) -> DrawPlan:
        """`plan` with these unit embeddings (n, E).

        Raises:
            UsageError: settings that name others; embeddings that do not fit the model.
        """
        if self.unet.image_dim is not None:
            self._check(plan.config, image=True)
        return self._given(plan, image)

    def varied(
        self,
        plan: DrawPlan,
        vary: Image.Image | Tensor | None,
        vary_to: Image.Image | Tensor | None,
    ) -> DrawPlan:
        """`plan` with the embedding of `vary`, moved as its settings say, in all pictures.

        Args:
            vary, vary_to: PIL, or uint8 (3, H, W).

        Raises:
            UsageError: settings and pictures that do not go together.
            BadImage: a picture that cannot be converted.
        """
        self._check(plan.config, vary=vary is not None, vary_to=vary_to is not None)
        assert vary is not None
        varied = varied_embedding(self.clip, plan.config.unclip, vary, vary_to)
        return self._given(plan, varied.expand(len(plan.prompts), -1))

    def prior_of(self, config: SamplingConfig) -> Prior | None:
        """That the settings name; None: they name none, or the text embedding in its place. Raises
        as `prior`."""
        name = config.unclip.prior
        return None if name in (None, TEXT) else self.prior(name)

    def prior(self, name: str) -> Prior:
        """Of `priors`, or the folder of one, which is then kept there.

        Raises:
            CheckpointError: no prior there. UsageError: it is of another CLIP.
        """
        from textdiff.pipeline.prior import Prior

        if name not in self.priors:
            prior = Prior.load(name, self.clip.mean.device)
            space = space_of(self.clip)
            check_same_space(f"prior {name}", prior.config.space, "the decoder", space)
            self.priors[name] = prior
        return self.priors[name]

    def _check(
        self,
        config: SamplingConfig,
        *,
        image: bool = False,
        vary: bool = False,
        vary_to: bool = False,
    ) -> None:
        decoder = self.unet.image_dim is not None
        check_sources(config.unclip, decoder=decoder, image=image, vary=vary, vary_to=vary_to)

    def _given(self, plan: DrawPlan, image: Features | None) -> DrawPlan:
        check_image(image, len(plan.prompts), self.unet)
        return replace(plan, image=image)


def check_sources(
    config: UnclipConfig, *, decoder: bool, image: bool, vary: bool, vary_to: bool
) -> None:
    """Raises UsageError for settings of unCLIP that contradict each other, lack something, or do
    not go with the model.

    Args:
        image: whether the embeddings themselves are there.
        vary, vary_to: whether these pictures are.
    """
    given = {
        "prior": config.prior is not None,
        "vary": vary,
        "vary_to": vary_to,
        "text_from": config.text_from is not None,
        "text_to": config.text_to is not None,
        "share": config.share is not None,
        "keep_noise": config.keep_noise,
    }
    names = [name for name, there in given.items() if there]
    if not decoder:
        if names:
            raise UsageError(
                f"{names[0]} with a model that is no unCLIP decoder; leave it out, or give a model "
                "that was trained with --embeddings"
            )
        return
    if given["prior"] and (vary or image):
        raise UsageError(
            f"prior and {'vary' if vary else 'image'} both give the embedding to draw; leave one "
            "of them out"
        )
    if not vary:
        for name in names:
            if name != "prior":
                raise UsageError(f"{name} without vary; give the picture that it is about")
        return
    if given["text_from"] != given["text_to"]:
        raise UsageError("text_from and text_to belong together; give both")
    if vary_to and given["text_to"]:
        raise UsageError("vary_to and text_to both say where to; leave one of them out")
    if given["share"] != (vary_to or given["text_to"]):
        raise UsageError(
            "share says how far to go to vary_to or text_to; "
            + ("give one of them" if given["share"] else "give it, from 0 to 1")
        )
