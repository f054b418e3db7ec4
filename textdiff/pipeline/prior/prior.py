"""Captions in, CLIP image embeddings out (unCLIP, arXiv 2204.06125, section 2.2).

    prompts ── ClipModel.conditioning ── network, captions bound ──┐
    seeds ── num_candidates draws of each ◄────────────────────────┘ ──► nearest to z_t ──► (B, E)

A prior's folder holds prior.yaml and clip/; its weights are prior.safetensors or the moving
averages of the newest good checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.config import build, to_yaml
from textdiff.data.prompts import check_text
from textdiff.devices import pick_device
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import CheckpointError
from textdiff.files import write_text
from textdiff.manifests import MANIFEST, write_manifest
from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.models.bound import trimmed
from textdiff.models.causal import Seen
from textdiff.models.diffusion_prior import DiffusionPrior
from textdiff.pipeline.loading import (
    CLIP_FOLDER,
    check_described,
    find_weights,
    read_description,
)
from textdiff.pipeline.prior.config import PriorConfig, PriorSampling
from textdiff.pipeline.prior.drawing import (
    Seeds,
    draw_by_diffusion,
    draw_codes,
    process_of,
    seeds_of,
)
from textdiff.sampling.best_of import Candidates, best_of
from textdiff.types import Conditioning, Features

PRIOR_FILE = "prior.yaml"
WEIGHTS_FILE = "prior.safetensors"
PriorNetwork = DiffusionPrior | AutoregressivePrior


def build_network(config: PriorConfig) -> PriorNetwork:
    """With fresh weights."""
    if config.kind == "diffusion":
        return DiffusionPrior(config.diffusion_network)
    return AutoregressivePrior(config.autoregressive_network)


@dataclass
class Prior:
    """A network and the frozen CLIP whose text features it reads and whose embeddings it draws.

    step: of its checkpoint.
    """

    network: PriorNetwork
    clip: ClipModel
    config: PriorConfig
    step: int | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "auto",
        step: int | None = None,
    ) -> Prior:
        """From a run folder or an exported one, both networks frozen.

        step: of the checkpoint of a run; None: the newest good one.

        Raises:
            CheckpointError: the folder is no prior, its weights cannot be used, or its CLIP is not
                that of its training.
            UsageError: a device that this machine lacks.
        """
        device = pick_device(device) if isinstance(device, str) else device
        folder = Path(folder).expanduser()
        config = read_description(folder, PRIOR_FILE, PriorConfig, "textdiff train-prior")
        weights, state = find_weights(folder, WEIGHTS_FILE, step)
        trained = state.get("fixed", {}).get("prior", {})
        check_described(config.fixed(), trained, folder / PRIOR_FILE, weights.parent)
        tensors = checkpoint.load_tensors(weights)
        network = checkpoint.build_module(lambda: build_network(config), tensors, weights)
        clip = ClipModel.load(folder / CLIP_FOLDER)
        if (found := clip.weights_hash()) != config.space.clip_weights:
            raise CheckpointError(
                f"{folder / CLIP_FOLDER} is the CLIP {found}, but the prior was trained on "
                f"embeddings of the CLIP {config.space.clip_weights}; put that one there: "
                f"{config.clip!r} was its source"
            )
        return cls(network, clip, config, state.get("step")).freeze().to(device)

    def freeze(self) -> Prior:
        """Both networks in eval mode, without gradients of their weights."""
        self.network.eval().requires_grad_(False)
        self.clip.freeze()
        return self

    def to(self, device: str | torch.device) -> Prior:
        """Moves the networks."""
        self.network.to(device)
        self.clip.to(device)
        return self

    def describe(self, folder: Path) -> None:
        """Writes what, beside weights, makes `folder` loadable as a prior."""
        self.clip.save(folder / CLIP_FOLDER)
        write_text(folder / PRIOR_FILE, to_yaml(self.config))
        write_manifest(folder, [PRIOR_FILE])

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` reads: prior.yaml, clip/ and the weights."""
        folder = Path(folder).expanduser()
        self.describe(folder)
        checkpoint.save_tensors(folder / WEIGHTS_FILE, self.network.state_dict())
        write_manifest(folder, [WEIGHTS_FILE, PRIOR_FILE, f"{CLIP_FOLDER}/{MANIFEST}"])

    def weights_hash(self) -> str:
        """Of the network's weights."""
        return checkpoint.weights_hash(self.network)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.network.norm_out.weight.device

    @cached_property
    def schedule(self) -> NoiseSchedule:
        """How embeddings are noised, in a diffusion prior."""
        return NoiseSchedule.from_config(self.config.schedule)

    def check(self, config: PriorSampling) -> None:
        """Raises UsageError: more steps than the schedule of a diffusion prior has."""
        if self.config.kind == "diffusion":
            process_of(self.schedule).plan_grid(config.of_diffusion())

    def text_embeddings(self, prompts: Sequence[str]) -> Features:
        """z_t, unit length, (B, E)."""
        pooled = self.clip.conditioning(list(prompts)).pooled
        assert pooled is not None
        return pooled / math.sqrt(pooled.shape[1])

    def draw(self, conditioning: Conditioning, seeds: Seeds, config: PriorSampling) -> Features:
        """One unit embedding for each row, (B, E).

        Args:
            conditioning: of B captions and, in row B, of the empty one.
            seeds: per row, what its random draws are a function of.

        Raises:
            UsageError: more steps than the schedule has.
        """
        bound = self.network.bind(trimmed(conditioning))
        return self._draw(bound, range(len(seeds)), seeds, config)

    def candidates(
        self, prompts: Sequence[str], config: PriorSampling, first: int = 0
    ) -> Candidates:
        """Unit embeddings (B, config.num_candidates, E); those of prompt k are functions of the
        seed and first + k. The first ones of more candidates are those of fewer.

        Raises:
            UsageError: a prompt that is no text, or more steps than the schedule has.
        """
        self.check(config)
        for prompt in prompts:
            check_text(prompt)
        texts = [*dict.fromkeys(prompt for prompt in prompts if prompt), ""]
        place = {text: row for row, text in enumerate(texts)}
        bound = self.network.bind(trimmed(self.clip.conditioning(texts)))
        of_each, size = config.num_candidates, config.batch_size
        rows = [place[prompt] for prompt in prompts for _ in range(of_each)]
        seeds = seeds_of(config.seed, first, len(prompts), of_each)
        dim = self.config.space.embed_dim
        drawn = [torch.empty(0, dim, device=self.device)]
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            drawn.append(self._draw(bound, rows[part], seeds[part], config))
        return torch.cat(drawn).view(len(prompts), of_each, dim)

    def _draw(
        self, bound: Seen, rows: Sequence[int], seeds: Seeds, config: PriorSampling
    ) -> Features:
        """bound: captions, the empty one last. rows: which of them each embedding is for."""
        captions, empty = bound[list(rows)], bound[[len(bound) - 1] * len(rows)]
        with torch.no_grad():
            if isinstance(self.network, DiffusionPrior):
                drawn = draw_by_diffusion(
                    self.network, self.schedule, captions, empty, seeds, config
                )
            else:
                drawn = draw_codes(self.network, captions, empty, seeds, config)
        return F.normalize(drawn, dim=-1)

    def __call__(
        self,
        prompts: str | Sequence[str],
        num_images: int = 1,
        first: int = 0,
        **settings: Any,
    ) -> Features:
        """Unit embeddings (B, E) on the prior's device: `num_images` of the first prompt, then of
        the second, and so on.

        Args:
            first: number of the first embedding; the k-th of a seed alone: `first=k`.
            settings: fields of PriorSampling, e.g. num_candidates=2, guidance_scale=1.0,
                num_steps=25, seed=0.

        Raises:
            UsageError: settings or prompts that cannot be used.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        config = build(PriorSampling, [("prior", settings)])
        each = [prompt for prompt in prompts for _ in range(num_images)]
        drawn = self.candidates(each, config, first)
        return best_of(drawn, self.text_embeddings(each)) if len(each) else drawn[:, 0]
