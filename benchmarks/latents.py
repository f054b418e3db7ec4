"""What latents save in drawing, and what guidance by a CLIP costs in them.

    python benchmarks/latents.py --model runs/latent --pixels runs/pixels --noised runs/noised

All draw the same prompts by DDIM in the same steps and batch, decoded at the end:

    cfg              classifier-free guidance alone: the U-Net forward on 2 B rows
    noised           a noised CLIP of latents at x_t alone: CLIP forward and backward, no decoder
    past the U-Net   a clean CLIP at x_0_hat alone, back through the decoder
    clean            the same, back through the decoder and the U-Net
    pixels           classifier-free guidance alone by a model of pixels of the same size

beside what the decoder and the encoder take of a picture. The schemes take turns; medians and
quartiles over rounds. Run nothing beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from protocol import protocol
from rounds import compared, seconds_of, shown, spread, table
from torch import Tensor

from textdiff import TextToImage
from textdiff.evaluation.results import write_numbers
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.latents import LatentEncoder
from textdiff.vae import LatentCodec


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", required=True, help="of latents")
    parser.add_argument("--pixels", help="a model of pixels of the same size; none: not compared")
    parser.add_argument("--noised", help="a noised CLIP of these latents; none: not compared")
    parser.add_argument("--prompts", nargs="+", default=["red apple", "blue heart"])
    parser.add_argument("--images", type=int, default=16, help="drawn at once")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--clip-guidance-scale", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def schemes(options: argparse.Namespace, pipe: TextToImage) -> dict[str, Callable[[], Tensor]]:
    """By name: draws the pictures (B, 3, S, S)."""
    prompts = [options.prompts[k % len(options.prompts)] for k in range(options.images)]

    def drawing(of: TextToImage, guidance_scale: float, **settings) -> Callable[[], Tensor]:
        config = SamplingConfig(
            num_steps=options.steps, guidance_scale=guidance_scale, batch_size=len(prompts)
        )
        clip = config.clip_guidance.model_copy(update=settings)
        plan = of.plan(prompts, config.model_copy(update={"clip_guidance": clip}))
        return lambda: of.draw(plan)

    scale = {"scale": options.clip_guidance_scale}
    draws = {"cfg": drawing(pipe, options.guidance_scale)}
    if options.noised:
        draws["noised"] = drawing(pipe, 1.0, **scale, guide=options.noised)
    draws["past the U-Net"] = drawing(pipe, 1.0, **scale, through_unet=False)
    draws["clean"] = drawing(pipe, 1.0, **scale)
    if options.pixels:
        pixels = TextToImage.load(options.pixels, options.device)
        draws["pixels"] = drawing(pixels, options.guidance_scale)
    return draws


def codec_seconds(options: argparse.Namespace, codec: LatentCodec) -> dict[str, dict[str, float]]:
    """Milliseconds per picture of either way."""
    pictures = torch.zeros(options.images, 3, codec.image_size, codec.image_size).byte()
    x_0, encoder = codec.encode(pictures), LatentEncoder(codec)
    works = {"decoder": lambda: codec.decode(x_0), "encoder": lambda: encoder.rows(pictures)}
    found = {}
    for name, work in works.items():
        work()  # warms up
        seconds = [seconds_of(work, options.device) for _ in range(options.rounds)]
        found[name] = spread([1e3 * value / options.images for value in seconds])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    pipe = TextToImage.load(options.model, options.device)
    if not isinstance(pipe.codec, LatentCodec):
        raise SystemExit(f"{options.model} draws pixels; name a model of latents")
    rows = compared(schemes(options, pipe), options.rounds, "cfg", share=options.steps)
    table(
        f"{options.images} pictures of {pipe.config.image_size} pixels, {options.steps} steps",
        ["scheme", "ms per picture and step", "speed beside cfg"],
        [[row["name"], shown(row["ms"], 2), shown(row["ratio"], 2)] for row in rows],
    )
    ways = codec_seconds(options, pipe.codec)
    table(
        "The VAE alone",
        ["", "ms per picture"],
        [[name, shown(value, 2)] for name, value in ways.items()],
    )
    result = {"protocol": protocol(options, options.device), "drawing": rows, "vae": ways}
    write_numbers(options.json, result)


if __name__ == "__main__":
    main()
