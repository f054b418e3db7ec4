"""Time of guidance by CLIP: ours, against classifier-free guidance alone and diffusers' scheme.

    python benchmarks/guidance.py --model runs/openmoji --noised runs/noised-clip

Pictures are drawn by DDIM with the same steps, prompts, U-Net and batch:

    cfg              classifier-free guidance alone: the U-Net forward on 2 B rows
    noised           a noised CLIP at x_t alone: the U-Net on B, CLIP forward and backward on B
    cfg + noised     both
    clean            a clean CLIP at x_0_hat alone, back through the U-Net
    community        diffusers' community pipeline clip_guided_stable_diffusion alone: beside the
                     U-Net on B, another forward on B with its backward, and four cutouts through
                     CLIP forward and backward
    cfg + community  the same with classifier-free guidance, its default; the second pass is then of
                     the empty prompt, the first half of what that pipeline concatenates

With classifier-free guidance on both sides the U-Net's share of the last ratio is about 4.5 : 2, a
backward pass being 1.5 forward passes, so that a small CLIP cannot bring it to 3.

The community scheme is written out below for our networks, with the model's own CLIP, and without
the decoder of latents that it passes through forward and backward. Its U-Net has the text bound as
ours has: keys and values are computed once, without padding. They and text features are made before
its clock starts, after ours does. Each round times every scheme once, in turn; medians and
quartiles over rounds. Ratios are taken round by round. Run nothing beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from protocol import protocol
from rounds import ratio, seconds_of, spread
from torch import Tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig
from textdiff.diffusion import NoiseSchedule, from_output
from textdiff.evaluation.results import write_numbers
from textdiff.guidance import classifier_free
from textdiff.guidance.classifier_free import DenoisePair
from textdiff.pipeline.network import run_bound
from textdiff.sampling import DDIM, ImageNoise, sample, timestep_grid
from textdiff.types import Conditioning, Denoise, Images, Prediction, Timesteps

RATIOS = {
    "cfg + noised / cfg": 1.5,
    "noised / cfg": 1.5,
    "community / noised": 3.0,
    "cfg + community / noised": 3.0,
    "cfg + community / cfg + noised": 3.0,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--noised", help="none: the model's own CLIP with fresh timestep layers")
    parser.add_argument("--prompts", nargs="+", default=["red apple", "blue heart"])
    parser.add_argument("--images", type=int, default=16, help="drawn at once")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--every", type=int, default=1, help="noised CLIP at every k-th step")
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--clip-guidance-scale", type=float, default=5.0)
    parser.add_argument("--cutouts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


# diffusers' examples/community/clip_guided_stable_diffusion.py, on pixels in place of latents


def community(
    denoise: Denoise,
    again: Denoise,
    schedule: NoiseSchedule,
    clip: ClipModel,
    text: Tensor,
    scale: float,
    cutouts: int,
) -> Denoise:
    """`denoise`, with eps_hat <- eps_hat - b grad(loss) of a second U-Net pass, `again`."""

    def guided(x_t: Images, timestep: Timesteps) -> Prediction:
        eps = denoise(x_t, timestep).eps
        a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            x_0 = (x - b * again(x, timestep).eps) / a
            picture = (b * x_0 + (1 - b) * x).clamp(-1, 1)
            views = make_cutouts(picture, clip.image_size, cutouts)
            found = F.normalize(clip.encode_image(views), dim=-1)
            wanted = F.normalize(text, dim=-1).repeat(cutouts, 1)
            distance = (found - wanted).norm(dim=-1).div(2).arcsin().pow(2).mul(2)
            loss = distance.view(cutouts, len(x)).mean(0).sum() * scale
            (gradient,) = torch.autograd.grad(loss, x)
        eps = eps + b * gradient
        return Prediction((x_t - b * eps) / a, eps)

    return guided


def make_cutouts(pictures: Images, size: int, count: int) -> Images:
    """`count` random squares, each averaged to `size`: (count * B, C, size, size)."""
    side = min(pictures.shape[2:])
    views = []
    for _ in range(count):
        cut = int(torch.rand([]) * (side - min(side, size)) + min(side, size))
        left, top = (int(torch.randint(0, side - cut + 1, ())) for _ in range(2))
        view = pictures[:, :, top : top + cut, left : left + cut]
        views.append(F.adaptive_avg_pool2d(view, size))
    return torch.cat(views)


# measuring


def schemes(options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """Each draws the pictures once."""
    pipe = TextToImage.load(options.model, options.device)
    pipe.guides["noised"] = noised_clip(options, pipe)
    prompts = [options.prompts[k % len(options.prompts)] for k in range(options.images)]
    text = pipe.clip.encode_text(prompts).projected.detach()
    conditioning = pipe.conditioning([*prompts, ""])
    negative = conditioning[-1:].repeat(len(prompts))
    grid = timestep_grid(pipe.schedule, options.steps)
    cond, uncond = pipe.denoiser(conditioning[:-1], grid), pipe.denoiser(negative, grid)
    pair = bound_pair(pipe, Conditioning.cat([conditioning[:-1], negative]), grid)

    def ours(guidance_scale: float, **settings) -> Callable[[], object]:
        return lambda: pipe(
            prompts,
            num_steps=options.steps,
            batch_size=len(prompts),
            guidance_scale=guidance_scale,
            **settings,
        )

    def theirs(denoise: Denoise, again: Denoise) -> Callable[[], object]:
        guided = community(
            denoise,
            again,
            pipe.schedule,
            pipe.clip,
            text,
            options.clip_guidance_scale,
            options.cutouts,
        )

        def draw() -> list:
            seeds = [(0, k) for k in range(len(prompts))]
            noise = ImageNoise(seeds, pipe.codec.shape, options.device)
            return list(sample(guided, pipe.schedule, DDIM(), grid, noise(), noise))

        return draw

    by_clip = {"clip_guidance_scale": options.clip_guidance_scale}
    by_noised = {**by_clip, "clip_guide": "noised", "clip_guidance_every": options.every}
    return {
        "cfg": ours(options.guidance_scale),
        "noised": ours(1.0, **by_noised),
        "cfg + noised": ours(options.guidance_scale, **by_noised),
        "clean": ours(1.0, **by_clip),
        "community": theirs(cond, cond),
        "cfg + community": theirs(classifier_free(pair, options.guidance_scale), uncond),
    }


def bound_pair(pipe: TextToImage, conditioning: Conditioning, grid: Tensor) -> DenoisePair:
    """Of B prompts and then B negative ones, in one pass, as ours."""
    text = pipe.unet.bind(conditioning, grid)

    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        outputs = run_bound(pipe.unet, text, x_t, timestep).chunk(2)
        cond, uncond = (
            from_output(pipe.config.prediction, pipe.schedule, output, x_t, timestep)
            for output in outputs
        )
        return cond, uncond

    return pair


def noised_clip(options: argparse.Namespace, pipe: TextToImage) -> NoisedClip:
    if options.noised:
        return NoisedClip.load(options.noised)
    schedule = pipe.config.schedule.model_dump()
    config = NoisedClipConfig(image_size=pipe.config.unet.image_size, schedule=schedule)
    return NoisedClip(pipe.clip, config).freeze()


def main() -> None:
    options = arguments()
    draws = schemes(options)
    seconds: dict[str, list[float]] = {name: [] for name in draws}
    for round_ in range(options.rounds + 1):  # the first warms up
        for name, draw in draws.items():
            elapsed = seconds_of(draw, options.device)
            if round_:
                seconds[name].append(elapsed)
    times = {name: spread(values) for name, values in seconds.items()}
    ratios = {}
    for name in RATIOS:
        above, below = (seconds[scheme] for scheme in name.split(" / "))
        ratios[name] = ratio(above, below)
    print("| scheme | ms per picture and step | quartiles |\n| --- | ---: | ---: |")
    for name, found in times.items():
        low, median, high = (
            1e3 * found[key] / options.images / options.steps for key in ("low", "median", "high")
        )
        print(f"| {name} | {median:.2f} | {low:.2f} to {high:.2f} |")
    print("\n| ratio | median | quartiles | target |\n| --- | ---: | ---: | ---: |")
    for name, found in ratios.items():
        target = f"{'at least' if 'community' in name else 'at most'} {RATIOS[name]}"
        quartiles = f"{found['low']:.2f} to {found['high']:.2f}"
        print(f"| {name} | {found['median']:.2f} | {quartiles} | {target} |")
    result = {"protocol": protocol(options, options.device), "seconds": times, "ratios": ratios}
    write_numbers(options.json, result)


if __name__ == "__main__":
    main()
