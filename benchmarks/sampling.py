"""Sampling speed: ours beside diffusers' pipeline with the same weights, in turn in one process.

    python benchmarks/sampling.py --model runs/plain --json out/sampling.json
    python benchmarks/sampling.py --short        # random weights, no search, a minute or two

Trained by `scripts/train.py --config configs/plain_openmoji.yaml`, the network is diffusers'
UNet2DConditionModel weight by weight; their side is `diffusers_sampling.py`. Text is encoded before
their clock starts and after ours does. Three questions:

    same steps    DDIM with the same steps and guidance on both sides: time, and how far the
                  pictures are apart
    own gain      each optimisation left out of ours, or added to it, per U-Net step
    same quality  with --model: the RMSE that diffusers' DDIM with --steps has to DDIM with
                  --reference steps, and the cheapest settings, ours and diffusers' own solvers,
                  that come at least as near (`sampling_quality.py`)

RMSEs are in grey levels of 255. Times are medians with quartiles over rounds, ratios are taken
round by round. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers_sampling import EXACT, KINDS, OTHER_NETWORKS, DiffusersSampling
from protocol import protocol
from rounds import Draw, compared, shown, table
from sampling_quality import Side, same_quality, show_quality
from torch import Tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.config import ClipConfig
from textdiff.evaluation.protocol import model_protocol
from textdiff.evaluation.results import write_numbers
from textdiff.models import UNet, UNetConfig
from textdiff.models.bound import BoundText, trimmed
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.network import rounded, run_bound
from textdiff.sampling import ImageNoise
from textdiff.types import Conditioning, Network

TARGETS = {"same steps": 1.5, "same quality": 6.0}
SOLVERS = ("unipc", "dpmpp")
SPACINGS = ("trailing", "linspace", "log_snr")
ROUGHER = (  # each of them added to the best of the above
    {"precision": "bf16"},
    {"deep_cache_every": 2},
    {"precision": "bf16", "deep_cache_every": 2},
    {"precision": "bf16", "deep_cache_every": 3},
)
SHORT = {"steps": 10, "rounds": 3, "gain_steps": 3}
SHARES = (0.0, 0.1, 0.2, 0.4)  # of the timesteps, the least noisy ones, left without guidance


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", help="run folder of a plain U-Net; none: random weights")
    prompts = ["red apple", "blue heart", "cat face", "sunflower", "rocket", "pizza", "bus", "star"]
    parser.add_argument("--prompts", nargs="+", default=prompts)
    parser.add_argument("--images", type=int, default=8, help="drawn at once")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM; a divisor of the schedule")
    parser.add_argument("--reference", type=int, default=1000, help="steps of the long DDIM run")
    parser.add_argument("--gain-steps", type=int, default=6, help="steps to time each gain on")
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=5, help="2 or more")
    parser.add_argument("--other-seeds", type=int, default=2, help="that confirm what was found")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--short", action="store_true", help="10 steps, 3 rounds unless said")
    parser.add_argument("--json", type=Path)
    if parser.parse_known_args(argv)[0].short:
        parser.set_defaults(**SHORT)
    options = parser.parse_args(argv)
    if options.guidance_scale == 1:
        parser.error("--guidance-scale 1: ours would skip the half that diffusers' loop runs")
    if options.rounds < 2 or options.other_seeds < 1:
        parser.error("--rounds takes 2 or more, --other-seeds 1 or more")
    return options


def random_model(config: UNetConfig | None = None) -> TextToImage:
    """The default U-Net, or one of `config`, none of its weights zero, and a CLIP of 256 wide texts
    of 16 tokens."""
    text = {"width": 256, "heads": 4, "layers": 2, "context_length": 16}
    clip = ClipModel.build(ClipConfig.model_validate({"text": text}), seed=0)
    torch.manual_seed(0)
    config = config or UNetConfig()
    unet = UNet(config)
    for parameter in unet.parameters():
        if not parameter.any() and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5 * parameter[0].numel() ** -0.5)
    return TextToImage(unet, clip, ModelConfig(clip="random", prediction="v", unet=config))


class Job:
    """The pictures to draw, by ours or by diffusers' loop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, options.device
        model = TextToImage.load(options.model, "cpu") if options.model else random_model()
        self.pipe = model.to(options.device)
        self.prompts = list(itertools.islice(itertools.cycle(options.prompts), options.images))
        texts = self.pipe.conditioning([*self.prompts, ""])
        negative = texts[-1:].repeat(len(self.prompts))
        self.both = Conditioning.cat([texts[:-1], negative])
        self.uncond_first = Conditioning.cat([negative, texts[:-1]])  # as their pipelines have it
        self.theirs = DiffusersSampling(self.pipe, self.uncond_first, options.guidance_scale)

    @torch.no_grad()
    def parity(self) -> float:
        """Largest difference of the fp32 outputs.

        Raises:
            SystemExit: the networks are not the same.
        """
        size, rows = self.pipe.config.unet.image_size, len(self.both)
        noise = ImageNoise([(0, k) for k in range(rows)], (3, size, size), self.device)
        x, timestep = noise(), torch.full((rows,), 500, device=self.device)
        ours = self.pipe.unet(x, timestep, self.uncond_first)
        difference = (ours - self.theirs.networks[EXACT](x, timestep)).abs().max().item()
        if not difference < 1e-3 * ours.abs().max().item():
            raise SystemExit(
                f"the networks' outputs differ by {difference:.3g}; nothing to compare"
            )
        return difference

    def draw_ours(self, **settings) -> Tensor:
        """Pictures (B, C, H, W) uint8, by what `TextToImage` does."""
        config = self.config(**settings)
        return self.pipe.draw(self.pipe.plan(self.prompts, config))

    def config(self, **settings) -> SamplingConfig:
        usual = {"guidance_scale": self.options.guidance_scale, "batch_size": len(self.prompts)}
        return SamplingConfig(**{**usual, "num_steps": self.options.steps, **settings})

    def draw_with(self, network: Network, config: SamplingConfig) -> Tensor:
        """Pictures (B, C, H, W) uint8, by a network of ours with all texts bound."""
        plan, codec = self.pipe.plan(self.prompts, config), self.pipe.codec
        noise = ImageNoise(
            [(0, k) for k in range(len(self.prompts))], codec.shape, self.pipe.device
        )
        *_, last = self.pipe.process.draw(PairOf(network), plan, noise, codec)
        return codec.decode(last.x_t)


@dataclass
class PairOf:
    """A network with prompts and negatives bound, as `TextNetwork` offers it. Guidance is on at
    every step, so that nothing asks for the prompts alone."""

    network: Network

    def pair(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        cond, uncond = self.network(x_t, timestep).chunk(2)
        return cond, uncond


def networks(job: Job, config: SamplingConfig) -> dict[str, Network]:
    """Ours with one optimisation left out or added; "all" is what `TextToImage` does."""
    unet, both, grid = job.pipe.unet, job.both, job.pipe.plan(job.prompts, config).grid
    bound, rough = unet.bind(both, grid), rounded(unet)
    short = trimmed(both).tokens

    def of(unet: UNet, text: BoundText) -> Network:
        return lambda x_t, timestep: run_bound(unet, text, x_t, timestep)

    def twice(text: BoundText | Conditioning) -> Network:
        return lambda x_t, timestep: unet(x_t.repeat(2, 1, 1, 1), timestep.repeat(2), text)

    def projected(tokens: Tensor) -> dict:
        return {layer: layer.keys_values(tokens) for layer in bound.keys_values}

    padded = replace(bound, keys_values=projected(both.tokens), mask=both.mask[:, None, None, :])

    def text_at_every_step(x_t: Tensor, timestep: Tensor) -> Tensor:
        return unet(x_t, timestep, replace(bound, keys_values=projected(short)))

    def time_at_every_step(x_t: Tensor, timestep: Tensor) -> Tensor:
        row = timestep[:1]
        time = unet.embed_timesteps(row, x_t.dtype)
        return unet(x_t, timestep, replace(bound, timesteps=tuple(row.tolist()), time=time))

    return {
        "all": of(unet, bound),
        "without: text projected once": text_at_every_step,
        "without: padding of all texts left out": of(unet, padded),
        "without: timesteps embedded in one batch": time_at_every_step,
        "without: first level once for both halves": twice(bound),
        "without all four": twice(both),
        "with: bf16": of(rough, rough.bind(both, grid)),
        "with: deep cache 2": of(unet, bound.reusing(2)),
        "with: deep cache 3": of(unet, bound.reusing(3)),
    }


# the three questions


def same_steps(job: Job) -> list[dict]:
    steps = job.options.steps
    draws: dict[str, Draw] = {
        name: lambda name=name: job.theirs.draw(steps, name) for name in job.theirs.networks
    }
    draws["ours, fp32"] = job.draw_ours
    draws["ours, bf16"] = lambda: job.draw_ours(precision="bf16")
    return compared(draws, job.options.rounds, EXACT, 1)


def own_gain(job: Job) -> list[dict]:
    config = job.config(num_steps=job.options.gain_steps)
    draws = {
        name: lambda network=network: job.draw_with(network, config)
        for name, network in networks(job, config).items()
    }
    return compared(draws, job.options.rounds, "all", job.options.gain_steps)


def quality(job: Job) -> dict:
    options, T = job.options, job.pipe.schedule.num_timesteps
    kinds = [{"sampler": name, "spacing": spacing} for name in SOLVERS for spacing in SPACINGS]
    rougher = [{**how, **guided_above(share, T)} for how in ROUGHER for share in SHARES]
    ours = Side("ours", job.draw_ours, kinds, rougher)
    theirs = Side("diffusers", job.theirs.draw, KINDS, OTHER_NETWORKS)
    steps = options.steps, options.reference
    return same_quality(ours, theirs, *steps, options.other_seeds, options.rounds)


def guided_above(share: float, num_timesteps: int) -> dict:
    low = int(share * num_timesteps)
    return {"guidance_interval": (low, num_timesteps - 1)} if low else {}


# showing


def show_compared(title: str, unit: str, found: list[dict], divided_by: str) -> None:
    rows = [
        [row["name"], shown(row["ms"], 1), shown(row["ratio"], 2), f"{row['rmse']:.2f}"]
        for row in found
    ]
    table(title, ["", unit, f"times as fast as {divided_by}", "RMSE to it"], rows)


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    job = Job(options)
    results: dict = {"largest output difference": job.parity(), "same steps": same_steps(job)}
    title = f"Same steps: DDIM {options.steps} (target: {TARGETS['same steps']} times as fast)"
    show_compared(title, "ms per picture", results["same steps"], EXACT)
    results["own gain"] = own_gain(job)
    unit = "ms per picture and step"
    show_compared("Own gain of each optimisation", unit, results["own gain"], "all")
    if options.model and not options.short:
        results["same quality"] = quality(job)
        target = TARGETS["same quality"]
        show_quality(results["same quality"], options.steps, options.reference, target)
    model = model_protocol(options.model, job.pipe) if options.model else "random weights"
    about = {**protocol(options, options.device), "model": model, "targets": TARGETS}
    write_numbers(options.json, {"protocol": about, **results})


if __name__ == "__main__":
    main()
