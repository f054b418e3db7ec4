"""Training steps of the GPU benchmark: ours and diffusers', eager, compiled and as CUDA graphs.

    forward, squared error ── what the script reads of it ──► backward, clipping, AdamW, average

Both in bf16 autocast with the same weights. Ours as `Trainer` runs a step: fused AdamW, our EMA,
loss and norm of the gradient read once. Theirs "as its script": PyTorch's default AdamW, EMAModel
parameter by parameter; "tuned": fused AdamW, EMAModel with foreach; both read the loss once.
"graph": the whole step recorded as a CUDA graph, of either side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from gpu_workers import Bench
from torch import Tensor, nn
from training_step import TOKENS, WIDTH, flops_of

from textdiff.interop import layout_to_diffusers, unet_from_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.training.config import OptimizerConfig
from textdiff.training.ema import EMA
from textdiff.training.optimizer import build_optimizer
from textdiff.types import Conditioning

COMPILED_MEMORY = 0.06  # share of the card while compiling beside others: a large batch stops there


@dataclass(frozen=True)
class Case:
    """batch: fills half the memory. small: as the recipes have it. backend: of torch.compile."""

    name: str
    config: UNetConfig
    batch: int
    small: int
    device: str
    backend: str = "inductor"


class Inputs:
    """A batch of noised images with the text of each."""

    def __init__(self, case: Case, batch: int, channels_last: bool = False) -> None:
        rng = torch.Generator().manual_seed(0)
        size = case.config.image_size
        memory = torch.channels_last if channels_last else torch.contiguous_format
        x_t, eps = (torch.randn(batch, 3, size, size, generator=rng) for _ in range(2))
        self.x_t = x_t.to(case.device).contiguous(memory_format=memory)
        self.eps = eps.to(case.device).contiguous(memory_format=memory)
        self.timestep = torch.randint(1000, (batch,), generator=rng).to(case.device)
        self.tokens = torch.randn(batch, TOKENS, WIDTH, generator=rng).to(case.device)
        self.mask = torch.ones(batch, TOKENS, dtype=torch.bool, device=case.device)

    def loss(self, network: nn.Module) -> Tensor:
        with torch.autocast(self.x_t.device.type, torch.bfloat16):
            if isinstance(network, UNet):
                text = Conditioning(self.tokens, mask=self.mask)
                output = network(self.x_t, self.timestep, text)
            else:
                output = network(self.x_t, self.timestep, self.tokens, return_dict=False)[0]
        return (output.float() - self.eps).square().mean()


def network_of(side: str, case: Case) -> nn.Module:
    """Of the same weights for both."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    theirs = UNet2DConditionModel(**layout_to_diffusers(case.config))
    return (unet_from_diffusers(theirs) if side == "ours" else theirs).to(case.device).train()


def trained_by(
    side: str, how: str, network: nn.Module, capturable: bool
) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
    if side == "ours":
        optimizer = build_optimizer(network, OptimizerConfig())
        average = EMA(network, 0.9999).update
    else:
        from diffusers.training_utils import EMAModel

        tuned = how != "as its script"
        fused = {"fused": True} if tuned else {}
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-2, **fused)
        ema = EMAModel(network.parameters(), decay=0.9999, foreach=tuned)
        average = lambda: ema.step(network.parameters())  # noqa: E731
    for group in optimizer.param_groups:
        group["capturable"] = capturable
    return optimizer, average


def step_of(side: str, how: str, network: nn.Module, inputs: Inputs) -> Callable[[], object]:
    """One step; "graph" in `how` records it at the first call."""
    graphed = "graph" in how
    optimizer, average = trained_by(side, how, network, graphed)

    def body(read: bool) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = inputs.loss(network)
        if read and side == "diffusers":
            loss.item()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        if read and side == "ours":
            torch.stack([loss.detach(), norm]).tolist()
        optimizer.step()
        average()
        return loss.detach()

    if not graphed:
        return lambda: body(read=True)
    recorded: list[Callable[[], object]] = []

    def step() -> None:
        if not recorded:
            recorded.append(replayed(lambda: body(read=False)))
        recorded[0]()

    return step


def replayed(body: Callable[[], Tensor]) -> Callable[[], object]:
    """`body` as a CUDA graph, whose loss is read at each call."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            body()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = body()

    def replay() -> float:
        graph.replay()
        return loss.item()

    return replay


def uncompiled(side: str, case: Case) -> Bench:
    """Steps of a batch that fills half the memory, and of the recipes' own."""
    runs: dict[str, Callable[[], object]] = {}
    eager: list[nn.Module] = []

    def add(how: str, batch: int) -> None:
        network, channels_last = network_of(side, case), "channels_last" in how
        if channels_last:
            network.to(memory_format=torch.channels_last)
        step = step_of(side, how, network, Inputs(case, batch, channels_last))
        name = run_name(case, side, how, batch)
        runs[name] = step
        if "graph" not in how:  # whose gradients stay where they were recorded
            eager.append(network)
        if channels_last:
            runs[f"{name}, cudnn.benchmark"] = partial(with_cudnn_benchmark, step)

    for how in ("eager",) if side == "ours" else ("as its script", "tuned"):
        add(how, case.batch)
    add("channels_last" if side == "ours" else "tuned, channels_last", case.batch)
    add("eager" if side == "ours" else "tuned", case.small)
    if case.device.startswith("cuda"):
        add("graph" if side == "ours" else "tuned, graph", case.small)
    return Bench(runs, rest=lambda: [each.zero_grad(set_to_none=True) for each in eager])


def with_cudnn_benchmark(step: Callable[[], object]) -> None:
    """Convolutions by the algorithms that are fastest when tried; scripts of neither side do so."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        step()


def compiled(side: str, case: Case, batch: int) -> Bench:
    """The same compiled; the recipes' batch also as a graph."""
    hows = ["compiled"]
    if batch == case.small and case.device.startswith("cuda"):
        hows.append("compiled, graph")
    network = network_of(side, case)
    network.compile(backend=case.backend, dynamic=False)
    inputs = Inputs(case, batch)
    named = {run_name(case, side, how, batch): how for how in hows}

    def prepare() -> None:
        try:
            with little_memory(case.device):
                inputs.loss(network).backward()
        except Exception:  # out of memory: compiled by now; what is really wrong shows in a turn
            network.zero_grad(set_to_none=True)

    runs = {name: step_of(side, how, network, inputs) for name, how in named.items()}
    return Bench(runs, prepare)


class little_memory:  # noqa: N801 a context, as torch's own
    """Others need theirs at the same time."""

    def __init__(self, device: str) -> None:
        self.on = device.startswith("cuda")

    def __enter__(self) -> None:
        if self.on:
            torch.cuda.set_per_process_memory_fraction(COMPILED_MEMORY)

    def __exit__(self, *_exception: object) -> None:
        if self.on:
            torch.cuda.set_per_process_memory_fraction(1.0)
            torch.cuda.empty_cache()


def run_name(case: Case, side: str, how: str, batch: int) -> str:
    return f"{case.name}, batch {batch}: {side}, {how}"


def start(pool: Any, case: Case) -> list[str]:
    """The workers' names."""
    names = []
    for side in ("ours", "diffusers"):
        pool.start(f"train {case.name} {side}", uncompiled, side=side, case=case)
        names.append(f"train {case.name} {side}")
        for batch in (case.batch, case.small):
            name = f"train {case.name} {side} compiled at {batch}"
            pool.start(name, compiled, side=side, case=case, batch=batch)
            names.append(name)
    return names


# Before anything starts: how large a batch, and how many FLOPs


def flops_per_image(case: Case) -> float:
    """Of a step of ours, multiply-adds counted twice; theirs has the same layers."""
    few = 2
    network, inputs = network_of("ours", case), Inputs(case, few)
    return flops_of(lambda: inputs.loss(network).backward()) / few


def batch_for(case: Case, share: float, probes: tuple[int, int] = (32, 96)) -> int:
    """Which fills `share` of the card in a step of ours: a line through two small batches."""
    total = torch.cuda.get_device_properties(0).total_memory
    network, peaks = network_of("ours", case), []
    for batch in probes:
        step = step_of("ours", "eager", network, Inputs(case, batch))
        step()
        torch.cuda.reset_peak_memory_stats()
        step()
        peaks.append(torch.cuda.max_memory_allocated())
        del step
    per_image = (peaks[1] - peaks[0]) / (probes[1] - probes[0])
    fits = probes[0] + (share * total - peaks[0]) / per_image
    torch.cuda.empty_cache()
    return max(32, int(fits) // 32 * 32)


@torch.no_grad()
def largest_difference(case: Case) -> float:
    """Of the outputs of both sides' networks in fp32."""
    inputs = Inputs(case, 2)
    text = Conditioning(inputs.tokens, mask=inputs.mask)
    ours = network_of("ours", case)(inputs.x_t, inputs.timestep, text)
    theirs = network_of("diffusers", case)(inputs.x_t, inputs.timestep, inputs.tokens).sample
    return (ours - theirs).abs().max().item()
