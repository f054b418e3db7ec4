"""A plan drawn: batch by batch, step by step.

prompts ── TextNetwork ──┐
seeds ── ImageNoise ─────┼── Process.draw ──► DrawStep ...
ClipGuide, ClipJudge ────┘
"""

from __future__ import annotations

from collections.abc import Iterator

from textdiff.cuda_graphs import Graphs
from textdiff.embeddings import scaled_feature
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.judge import ClipJudge
from textdiff.pipeline.model import Model
from textdiff.pipeline.network import RoundedCopy, TextNetwork
from textdiff.pipeline.plan import DrawPlan, DrawStep
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Features


def drawn_steps(
    model: Model, plan: DrawPlan, rounded: RoundedCopy, graphs: Graphs | None
) -> Iterator[DrawStep]:
    """Of the plan's pictures.

    rounded: keeps the U-Net in bf16. graphs: launch the kernels of a step together; None: one by
        one.
    """
    config, done = plan.config, 0
    unet = rounded.get(model.unet) if plan.bf16 else model.unet
    if graphs is not None:
        guides = [] if plan.guide is None else [plan.guide]
        graphs = graphs.for_run(unet, *guides) if config.graphs else None
    for rows in plan.batches:
        prompts, seeds = plan.prompts[rows], plan.candidate_seeds(rows)
        network = TextNetwork.bind(
            unet,
            model.conditioning,
            prompts if config.text_to_unet else [config.negative_prompt] * len(prompts),
            config.negative_prompt,
            plan.grid,
            image=image_features(model, plan, rows),
            guidance_over=config.guidance_over,
            deep_cache_every=config.deep_cache_every,
            graphs=graphs,
        )
        guide = judge = None
        if plan.guide is not None:
            every = prompts * config.selection.best_of
            guide = ClipGuide.towards(
                plan.guide, every, config, model.codec, plan.clip_image, seeds
            )
        if plan.judge is not None:
            judge = ClipJudge.of_prompts(plan.judge, prompts, plan.grid, model.codec)
        noise = ImageNoise(seeds, model.codec.shape, model.device)
        for step in model.process.draw(network, plan, noise, model.codec, guide, judge):
            done += 1
            yield DrawStep(
                rows=rows,
                index=step.index,
                timestep=step.timestep,
                done=done,
                x_t=step.x_t,
                x_0_hat=step.x_0_hat,
            )


def image_features(model: Model, plan: DrawPlan, rows: slice) -> Features | None:
    """What a decoder sees of the pictures' embeddings."""
    return None if plan.image is None else scaled_feature(plan.image[rows]).to(model.device)
