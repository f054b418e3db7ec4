"""Sampling of the GPU benchmark: ours and diffusers' loop, and guidance by a noised CLIP.

20 DDIM steps with classifier-free guidance of the same random weights, rounded to bf16, and the
same noise. Ours is `TextToImage.draw`, texts encoded inside of it; theirs the loop of diffusers'
pipelines, texts encoded before. "graph": of ours the layers of a step as a CUDA graph (`graphs` of
`TextToImage`), of theirs mode="reduce-overhead", as their guides advise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from diffusers_sampling import DiffusersSampling
from gpu_workers import Bench
from sampling import random_model

from textdiff import TextToImage
from textdiff.clip import NoisedClip, NoisedClipConfig
from textdiff.cuda_graphs import Graphs
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Conditioning

PROMPTS = ("red apple", "blue heart", "cat face", "sunflower", "rocket", "pizza", "bus", "star")
GUIDANCE = 2.5


def prompts_for(batch: int) -> list[str]:
    return list(itertools.islice(itertools.cycle(PROMPTS), batch))


def pipe_of(config: UNetConfig, device: str) -> TextToImage:
    return random_model(config).freeze().to(device)


def run_name(side: str, how: str, batch: int) -> str:
    return f"batch {batch}: {side}, {how}"


def drawing(pipe: TextToImage, batch: int, steps: int, **settings: Any) -> Callable[[], object]:
    usual = {"guidance_scale": GUIDANCE, "precision": "bf16", "batch_size": batch}
    config = SamplingConfig(**{**usual, "num_steps": steps, **settings})
    prompts = prompts_for(batch)
    return lambda: pipe.draw(pipe.plan(prompts, config))


def rough(pipe: TextToImage) -> UNet:
    """The bf16 network that it draws with."""
    return pipe._rounded.get(pipe.unet)


def compile_layers(unet: UNet, backend: str) -> None:
    unet._run = torch.compile(unet._run, backend=backend, dynamic=False)  # type: ignore[method-assign]


def ours(
    config: UNetConfig, device: str, batches: list[int], steps: int, backend: str | None
) -> Bench:
    """backend: None: eager."""
    first = "eager" if backend is None else "compiled"
    pipe, runs = pipe_of(config, device), {}
    if backend is not None:
        compile_layers(rough(pipe), backend)
    recorded = Graphs() if device.startswith("cuda") else None
    plain = [drawing(pipe, batch, steps) for batch in batches]
    for batch, draw in zip(batches, plain, strict=True):
        runs[run_name("ours", first, batch)] = played(pipe, None, draw)
        if recorded is not None:
            runs[run_name("ours", f"{first}, graph", batch)] = played(pipe, recorded, draw)
    if backend is None:
        other = pipe_of(config, device)
        rough(other).to(memory_format=torch.channels_last)
        for batch in batches:
            runs[run_name("ours", "channels_last", batch)] = drawing(other, batch, steps)
    return Bench(runs, lambda: [draw() for draw in plain] if backend else None)


def played(
    pipe: TextToImage, graphs: Graphs | None, draw: Callable[[], object]
) -> Callable[[], object]:
    """`draw` with these graphs, or without."""

    def run() -> None:
        pipe.graphs = graphs
        draw()

    return run


def diffusers(
    config: UNetConfig, device: str, batches: list[int], steps: int, backend: str | None, mode: str
) -> Bench:
    """backend: None: eager. mode: of torch.compile."""
    runs = {}
    hows = ["eager", "channels_last"] if backend is None else [f"compiled, {mode}"]
    pipe = pipe_of(config, device)
    for how, batch in itertools.product(hows, batches):
        runs[run_name("diffusers", how, batch)] = their_drawing(
            pipe, how, batch, steps, backend, mode
        )
    return Bench(runs, lambda: [run() for run in runs.values()] if backend else None)


def their_drawing(
    pipe: TextToImage, how: str, batch: int, steps: int, backend: str | None, mode: str
) -> Callable[[], object]:
    from textdiff.interop import unet_to_diffusers

    texts = pipe.clip.conditioning([*prompts_for(batch), ""])
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

    loop.networks["its own"] = marked
    return lambda: loop.draw(steps, "its own")


def guidance(config: UNetConfig, device: str, batch: int, steps: int) -> Bench:
    """Classifier-free guidance alone, and beside a noised CLIP at x_t."""
    runs = {}
    for how in ("eager", "graph") if device.startswith("cuda") else ("eager",):
        pipe = pipe_of(config, device)
        pipe.graphs = Graphs() if how == "graph" else None
        settings = NoisedClipConfig(
            image_size=config.image_size, schedule=pipe.config.schedule.model_dump()
        )
        pipe.guides["noised"] = NoisedClip(pipe.clip, settings).freeze()
        by_clip = {"clip_guidance_scale": 5.0, "clip_guide": "noised"}
        runs[f"cfg, {how}"] = drawing(pipe, batch, steps)
        runs[f"cfg + noised CLIP, {how}"] = drawing(pipe, batch, steps, **by_clip)
    return Bench(runs)


def start(
    pool: Any, config: UNetConfig, device: str, batches: list[int], steps: int, backend: str
) -> list[str]:
    """The workers' names."""
    given = {"config": config, "device": device, "batches": batches, "steps": steps}
    pool.start("draw ours", ours, backend=None, **given)
    pool.start("draw ours compiled", ours, backend=backend, **given)
    pool.start("draw diffusers", diffusers, backend=None, mode="", **given)
    names = ["draw ours", "draw ours compiled", "draw diffusers"]
    modes = ("default", "reduce-overhead") if backend == "inductor" else ("default",)
    for mode in modes:
        names.append(f"draw diffusers {mode}")
        pool.start(names[-1], diffusers, backend=backend, mode=mode, **given)
    return names
