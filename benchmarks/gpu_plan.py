"""What the GPU benchmark measures, the most telling first, and in which tables it stands.

Sizes ──► Section: its jobs (a process each) ──► the table of their rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import gpu_loop
import gpu_loss
import gpu_profile
import gpu_sampling
import gpu_training
from gpu_schedule import Job
from gpu_training import Case

from textdiff.models import UNetConfig

SMALL = UNetConfig()
LARGE = UNetConfig(image_size=64, block_channels=(128, 256, 512), head_dim=64)
TINY = UNetConfig(
    image_size=16,
    block_channels=(8, 16),
    layers_per_block=1,
    attention=(False, True),
    head_dim=8,
    norm_groups=4,
)


@dataclass(frozen=True)
class Sizes:
    """batch: None: the largest that fills half the card. sampling: batches of pictures.
    total: seconds of the whole script."""

    large: tuple[str, UNetConfig] = ("100M, 64x64", LARGE)
    small: tuple[str, UNetConfig] = ("16M, 32x32", SMALL)
    batch: int | None = None
    small_batch: int = 64
    sampling: tuple[int, ...] = (16, 256)
    steps: int = 20
    rows: int = 32_768
    dim: int = 512
    tiles: tuple[int, ...] = (2048, 8192)
    loop: UNetConfig = field(default_factory=lambda: SMALL.model_copy(update={"image_size": 64}))
    pictures: int = 2000
    loop_batch: int = 256
    loop_steps: int = 40
    workers: tuple[int, ...] = (8, 0)
    turn: float = 0.5
    rounds: int = 5
    cycles: int = 3
    total: float = 450.0


DRY = Sizes(
    large=("tiny, 16x16", TINY),
    small=("tinier, 16x16", TINY.model_copy(update={"block_channels": (4, 8)})),
    batch=4,
    small_batch=2,
    sampling=(2, 3),
    steps=2,
    rows=64,
    dim=16,
    tiles=(32,),
    loop=TINY,
    pictures=40,
    loop_batch=4,
    loop_steps=6,
    workers=(0,),
    turn=0.0,
    rounds=2,
    cycles=1,
    total=3600.0,
)


@dataclass(frozen=True)
class Section:
    """A table and the jobs whose rows it has.

    kind: "timed", "loop" or "profile": its columns.
    beside: rows that begin so are what ours is compared with.
    images: of one call; None: the batch that the first job found.
    call: what one call is.
    """

    group: str
    title: str
    jobs: tuple[Job, ...]
    kind: str = "timed"
    beside: str = "diffusers"
    images: int | None = None
    call: str = "step"


def sections(sizes: Sizes, device: str, backend: str) -> list[Section]:
    """In the order in which they are measured."""
    name, config = sizes.large
    large = Case(name, config, sizes.batch, sizes.small_batch, device, backend)
    name, config = sizes.small
    small = Case(name, config, sizes.batch, sizes.small_batch, device, backend)
    return [
        at_largest(large, compiled=True, limit=95),
        profile(large),
        at_small(large, compiled=False),
        *(sampling(sizes, batch, device, backend) for batch in sizes.sampling),
        loss(sizes, device),
        loop(sizes, device),
        at_small(small, compiled=True),
        at_largest(small, compiled=False, limit=60),
        guidance(sizes, device),
    ]


def at_largest(case: Case, *, compiled: bool, limit: float) -> Section:
    name = largest_name(case)
    first = Job(
        name,
        gpu_training.largest_rows(case.device),
        gpu_training.at_largest,
        {"case": case},
        limit,
        batch_of=name,
    )
    jobs = [first, *(compiled_at_largest(case, side) for side in ("ours", "diffusers") if compiled)]
    return Section("training", f"Training step, {case.name}, the largest batch", tuple(jobs))


def largest_name(case: Case) -> str:
    return f"train {case.name}, the largest batch"


def compiled_at_largest(case: Case, side: str) -> Job:
    return Job(
        f"train {case.name}, the largest batch, {side} compiled",
        gpu_training.compiled_rows(side, case.device, graph=False),
        gpu_training.compiled,
        {"side": side, "case": case, "graph": False},
        limit=90,
        in_turn=False,
        batch_of=largest_name(case),
    )


def at_small(case: Case, *, compiled: bool) -> Section:
    name, device = f"train {case.name}, batch {case.small}", case.device
    first = Job(name, gpu_training.small_rows(device), gpu_training.at_small, {"case": case}, 40)
    jobs = [
        Job(
            f"{name}, {side} compiled",
            gpu_training.compiled_rows(side, device, graph=True),
            gpu_training.compiled,
            {"side": side, "case": case, "batch": case.small, "graph": True},
            limit=75,
            in_turn=False,
        )
        for side in ("ours", "diffusers")
        if compiled
    ]
    title = f"Training step, {case.name}, batch {case.small}"
    return Section("training", title, (first, *jobs), images=case.small)


def profile(case: Case) -> Section:
    jobs = tuple(
        Job(
            f"profile {case.name}, {side}",
            (gpu_profile.profile_row(side),),
            gpu_profile.profiled,
            {"case": case, "side": side},
            limit=30,
            timed=False,
            batch_of=largest_name(case),
        )
        for side in ("ours", "diffusers")
    )
    return Section("profile", f"Where the time of a step goes, {case.name}, eager", jobs, "profile")


def sampling(sizes: Sizes, batch: int, device: str, backend: str) -> Section:
    given = {"config": sizes.small[1], "device": device, "batch": batch, "steps": sizes.steps}
    mode = "reduce-overhead" if backend == "inductor" else "default"
    name = f"draw {batch}"
    jobs = (
        Job(name, gpu_sampling.eager_rows(device), gpu_sampling.eager, given, 45),
        Job(
            f"{name}, diffusers compiled",
            (f"diffusers, compiled, {mode}",),
            gpu_sampling.diffusers_compiled,
            {**given, "backend": backend, "mode": mode},
            limit=60,
        ),
        Job(
            f"{name}, ours compiled",
            gpu_sampling.compiled_rows(device),
            gpu_sampling.ours_compiled,
            {**given, "backend": backend},
            limit=60,
            in_turn=False,
        ),
    )
    title = f"{sizes.steps} DDIM steps with guidance, {sizes.small[0]}, batch {batch}"
    return Section("sampling", title, jobs, images=batch, call="draw")


def guidance(sizes: Sizes, device: str) -> Section:
    given = {"config": sizes.small[1], "device": device, "batch": sizes.sampling[0]}
    rows = gpu_sampling.guidance_rows(device)
    job = Job("guidance", rows, gpu_sampling.guidance, {**given, "steps": sizes.steps}, 40)
    title = f"Guidance by a noised CLIP, {sizes.steps} steps, batch {sizes.sampling[0]}"
    return Section("guidance", title, (job,), beside="cfg, ", images=sizes.sampling[0], call="draw")


def loss(sizes: Sizes, device: str) -> Section:
    given = {"rows": sizes.rows, "dim": sizes.dim, "device": device, "tiles": sizes.tiles}
    job = Job("loss", gpu_loss.loss_rows(sizes.tiles), gpu_loss.losses, given, 30)
    title = f"Contrastive loss, both ways, {sizes.rows} x {sizes.dim}, fp32"
    return Section("loss", title, (job,), beside="open_clip", images=0, call="call")


def loop(sizes: Sizes, device: str) -> Section:
    given = {
        "device": device,
        "config": sizes.loop,
        "pictures": sizes.pictures,
        "batch": sizes.loop_batch,
        "steps": sizes.loop_steps,
        "workers": sizes.workers,
    }
    job = Job("loop", gpu_loop.loop_rows(sizes.workers), gpu_loop.loops, given, 80, timed=False)
    side = sizes.loop.image_size
    title = f"Whole loop, {sizes.pictures} PNGs of {side}x{side}, batch {sizes.loop_batch}"
    return Section("loop", title, (job,), "loop")


GROUPS: tuple[str, ...] = ("training", "profile", "sampling", "loss", "loop", "guidance")


def asked_for(every: list[Section], groups: Sequence[str]) -> list[Section]:
    """Those of `groups`; where the job that finds the batch of one is left out, its search alone
    comes first."""
    chosen = [section for section in every if section.group in groups]
    jobs = {job.name: job for section in every for job in section.jobs}
    present = {job.name for section in chosen for job in section.jobs}
    completed = []
    for section in chosen:
        needed = {job.batch_of for job in section.jobs if job.batch_of} - present
        present |= needed
        searches = [
            replace(jobs[name], rows=(), make=gpu_training.batch_alone, batch_of=None)
            for name in sorted(needed)
        ]
        completed.append(replace(section, jobs=(*searches, *section.jobs)))
    return completed
