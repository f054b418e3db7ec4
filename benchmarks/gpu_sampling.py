"""Sampling of the GPU benchmark: ours and diffusers' loop, and guidance by a noised CLIP.

20 DDIM steps with classifier-free guidance of the same random weights, rounded to bf16, and the
same noise. Ours is `TextToImage.draw`, texts encoded inside of it; theirs the loop of diffusers'
pipelines, texts encoded before. "graph": of ours the default, the layers of a step as a CUDA graph;
of theirs mode="reduce-overhead", as their guides advise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from diffusers_sampling import DiffusersSampling
from gpu_workers import Bench
from sampling import random_model

from textdiff import TextToImage
from textdiff.clip import NoisedClip, NoisedClipConfig
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Conditioning

PROMPTS = ("red apple", "blue heart", "cat face", "sunflower", "rocket", "pizza", "bus", "star")
GUIDANCE = 2.5


def eager_rows(device: str) -> tuple[str, ...]:
    rows = ("ours, eager", "ours, channels_last", "diffusers, eager", "diffusers, channels_last")
    return ("ours, graph", *rows) if device.startswith("cuda") else rows


def compiled_rows(device: str) -> tuple[str, ...]:
    rows = ("ours, compiled",)
    return (*rows, "ours, compiled, graph") if device.startswith("cuda") else rows


def prompts_for(batch: int) -> list[str]:
    return list(itertools.islice(itertools.cycle(PROMPTS), batch))


def pipe_of(config: UNetConfig, device: str) -> TextToImage:
    return random_model(config).freeze().to(device)


def drawing(
    pipe: TextToImage, batch: int, steps: int, *, graphs: bool, clip_guidance_scale: float = 0.0
) -> Callable[[], object]:
    config = SamplingConfig.model_validate(
        {
            "num_steps": steps,
            "guidance_scale": GUIDANCE,
            "precision": "bf16",
            "batch_size": batch,
            "graphs": graphs,
            "clip_guidance_scale": clip_guidance_scale,
            "clip_guide": "noised" if clip_guidance_scale else None,
        }
    )
    prompts = prompts_for(batch)
    return lambda: pipe.draw(pipe.plan(prompts, config))


def rough(pipe: TextToImage) -> UNet:
    """The bf16 network that it draws with."""
    return pipe._rounded.get(pipe.unet)


def eager(config: UNetConfig, device: str, batch: int, steps: int) -> Bench:
    """Both sides without a compiler, ours also played back."""
    runs: dict[str, Callable[[], object]] = {}
    for row in eager_rows(device):
        side, how = row.split(", ", 1)
        pipe = pipe_of(config, device)
        if side == "diffusers":
            runs[row] = their_drawing(pipe, how, batch, steps)
            continue
        if how == "channels_last":
            rough(pipe).to(memory_format=torch.channels_last)
        runs[row] = drawing(pipe, batch, steps, graphs=how == "graph")
    return Bench(runs)


def ours_compiled(config: UNetConfig, device: str, batch: int, steps: int, backend: str) -> Bench:
    pipe = pipe_of(config, device)
    unet = rough(pipe)
    unet._run = torch.compile(unet._run, backend=backend, dynamic=False)  # type: ignore[method-assign]
    rows = compiled_rows(device)
    return Bench({row: drawing(pipe, batch, steps, graphs="graph" in row) for row in rows})


def diffusers_compiled(
    config: UNetConfig, device: str, batch: int, steps: int, backend: str, mode: str
) -> Bench:
    """mode: of torch.compile."""
    pipe, how = pipe_of(config, device), f"compiled, {mode}"
    return Bench(
        {f"diffusers, {how}": their_drawing(pipe, how, batch, steps, backend=backend, mode=mode)}
    )


def their_drawing(
    pipe: TextToImage,
    how: str,
    batch: int,
    steps: int,
    backend: str | None = None,
    mode: str = "default",
) -> Callable[[], object]:
    """backend, mode: of torch.compile; none: eager."""
    from textdiff.interop import unet_to_diffusers

    texts = pipe.conditioning([*prompts_for(batch), ""])
    negative = texts[-1:].repeat(batch)
    both = Conditioning.cat([negative, texts[:-1]])
    loop = DiffusersSampling(pipe, both, GUIDANCE)
    loop.networks.clear()
    unet = unet_to_diffusers(pipe.unet).to(pipe.device, torch.bfloat16)
    if how == "channels_last":
        unet.to(memory_format=torch.channels_last)
    if backend is not None:
        options = {"mode": mode} if backend == "inductor" else {}
        unet.compile(backend=backend, dynamic=False, **options)
    predict = loop._call(unet)

    def marked(x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        return predict(x, timestep)

    loop.networks["its own"] = marked if backend is not None else predict
    return lambda: loop.draw(steps, "its own")


def guidance_rows(device: str) -> tuple[str, ...]:
    hows = ("eager", "graph") if device.startswith("cuda") else ("eager",)
    return tuple(f"{what}, {how}" for how in hows for what in ("cfg", "cfg + noised CLIP"))


def guidance(config: UNetConfig, device: str, batch: int, steps: int) -> Bench:
    """Classifier-free guidance alone, and beside a noised CLIP at x_t."""
    pipe = pipe_of(config, device)
    settings = NoisedClipConfig(
        image_size=config.image_size, schedule=pipe.config.schedule.model_dump()
    )
    pipe.guides["noised"] = NoisedClip(pipe.clip, settings).freeze()
    return Bench(
        {
            row: drawing(
                pipe,
                batch,
                steps,
                graphs="graph" in row,
                clip_guidance_scale=5.0 if "CLIP" in row else 0.0,
            )
            for row in guidance_rows(device)
        }
    )
