"""The ways from prompts to pictures that are compared, of the same prompts and noise.

prompts ── text-conditional model ──────────────────────────► pictures
prompts ── CLIP's text tower ── z_t ──┐
prompts ── a prior ── z_i ────────────┼── unCLIP decoder ───► pictures
their real pictures ── own z_i ───────┘  (a ceiling: these were seen)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from textdiff.clip.features import image_features
from textdiff.errors import UsageError
from textdiff.evaluation.held_out.draw import draw_timed
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.unclip import drawn_embeddings, text_embeddings
from textdiff.types import Features, Pictures

TEXT_CONDITIONAL, TEXT_EMBEDDING = "text-conditional model", "text embedding"
OWN_EMBEDDING = "picture's own embedding"


@dataclass(frozen=True)
class Route:
    """embed: unit embeddings (n, E) of the first n pictures; None: drawn from text alone.
    parameters: of the networks that draw, CLIP not counted."""

    name: str
    pipe: TextToImage
    embed: Callable[[int], Features] | None
    parameters: int


@dataclass(frozen=True)
class Drawn:
    """images: (n, 3, S, S). seconds: per picture, those of its embedding included.
    embedding_seconds: of these alone."""

    images: Pictures
    seconds: float
    embedding_seconds: float


def routes_of(
    decoder: TextToImage,
    prompts: Sequence[str],
    real: Pictures,
    config: SamplingConfig,
    *,
    model: TextToImage | None = None,
    priors: Sequence[str] = (),
) -> list[Route]:
    """The text-conditional model first, the ceiling last.

    Args:
        prompts: one for each picture to draw, n.
        real: (n, 3, S, S), the real picture of each.
        priors: their folders.

    Raises:
        CheckpointError: no prior there. UsageError: it is of another CLIP.
    """
    size = parameters_of(decoder.unet)

    def of_text(count: int) -> Features:
        return text_embeddings(decoder.clip, prompts[:count])

    def of_prior(folder: str) -> Route:
        prior = decoder.unclip.prior(folder)

        def draw(count: int) -> Features:
            return drawn_embeddings(prior, prompts[:count], config, 0).cpu()

        return Route(names[folder], decoder, draw, size + parameters_of(prior.network))

    def of_pictures(count: int) -> Features:
        return F.normalize(image_features(decoder.clip, real[:count]), dim=1)

    names = prior_names({folder: decoder.unclip.prior(folder).config.kind for folder in priors})
    routes = [Route(TEXT_EMBEDDING, decoder, of_text, size), *map(of_prior, priors)]
    routes.append(Route(OWN_EMBEDDING, decoder, of_pictures, size))
    if model is None:
        return routes
    return [Route(TEXT_CONDITIONAL, model, None, parameters_of(model.unet)), *routes]


def prior_names(kinds: Mapping[str, str]) -> dict[str, str]:
    """Of priors by their folders: the kind, and the folder too where several are of one kind."""
    count = Counter(kinds.values())
    return {
        folder: f"{kind} prior" + (f" ({folder})" if count[kind] > 1 else "")
        for folder, kind in kinds.items()
    }


def draw_route(route: Route, prompts: Sequence[str], config: SamplingConfig) -> Drawn:
    """A picture for each prompt. Raises UsageError: settings that the model cannot follow."""
    image, embedding_seconds = None, 0.0
    if route.embed is not None:
        route.embed(1)  # pays for what is done once
        start = time.perf_counter()
        image = route.embed(len(prompts))
        embedding_seconds = (time.perf_counter() - start) / len(prompts)
    plan = route.pipe.plan(prompts, config, image=image)
    images, seconds = draw_timed(route.pipe, plan, route.name)
    return Drawn(images, seconds + embedding_seconds, embedding_seconds)


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def load_decoder(name: str, device: str) -> TextToImage:
    """Raises UsageError: a model that draws from text alone. CheckpointError: no model there."""
    pipe = TextToImage.load(name, device)
    if pipe.config.unet.image_dim is None:
        raise UsageError(
            f"--decoder {name} is no unCLIP decoder, it draws from text alone; give a model that "
            "was trained with --embeddings, and this one as --model"
        )
    return pipe


def load_model(name: str, decoder: TextToImage, device: str) -> TextToImage:
    """One to compare `decoder` with.

    Raises:
        UsageError: it is a decoder too, or draws other pictures. CheckpointError: no model there.
    """
    pipe = TextToImage.load(name, device)
    if pipe.config.unet.image_dim is not None:
        raise UsageError(
            f"--model {name} is an unCLIP decoder, which does not draw from text alone; give a "
            "model that was trained without --embeddings, or this one as --decoder"
        )
    if pipe.codec.shape != decoder.codec.shape:
        raise UsageError(
            f"--model {name} starts from noise of {shape_of(pipe)}, --decoder from noise of "
            f"{shape_of(decoder)}; give models of pictures of one size"
        )
    return pipe


def shape_of(pipe: TextToImage) -> str:
    """Of what it diffuses, such as "3 x 32 x 32"."""
    return " x ".join(map(str, pipe.codec.shape))
