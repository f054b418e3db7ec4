"""Training steps of the GPU benchmark: ours and diffusers', eager, compiled and as CUDA graphs.

    forward, squared error ── what the script reads of it ──► backward, clipping, AdamW, average

Both in bf16 autocast with the same weights. Ours as `Trainer` runs a step: fused AdamW, our EMA,
loss and norm of the gradient read once. Theirs "as its script": PyTorch's default AdamW, EMAModel
parameter by parameter; "tuned": fused AdamW, EMAModel with foreach; both read the loss once.
"graph": the whole step recorded as a CUDA graph, of either side. "cudnn.benchmark": convolutions by
the algorithms that are fastest when tried, which scripts of neither side do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from gpu_batch import allocated_at_most, guessed, largest_batch, runs_within
from gpu_workers import Bench
from torch import Tensor, nn
from training_step import TOKENS, WIDTH, flops_of

from textdiff.interop import layout_to_diffusers, unet_from_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.training.config import OptimizerConfig
from textdiff.training.ema import EMA
from textdiff.training.optimizer import build_optimizer
from textdiff.types import Conditioning


@dataclass(frozen=True)
class Case:
    """batch: None: the largest that fills half the card. small: as the recipes have it.
    backend: of torch.compile."""

    name: str
    config: UNetConfig
    batch: int | None
    small: int
    device: str
    backend: str = "inductor"

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")


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


SHARE = 0.5  # of the card's memory that the largest batch fills


def largest_rows(device: str) -> tuple[str, ...]:
    rows = ("ours, eager", "diffusers, as its script", "diffusers, tuned")
    tried = [
        f"{side}, {how}cudnn.benchmark"
        for how in ("", "channels_last, ")
        for side in ("ours", "diffusers, tuned")
    ]
    return (*rows, *tried) if device.startswith("cuda") else rows


def small_rows(device: str) -> tuple[str, ...]:
    rows = ("ours, eager", "diffusers, tuned")
    return (*rows, "ours, graph", "diffusers, tuned, graph") if device.startswith("cuda") else rows


def compiled_rows(side: str, device: str, *, graph: bool) -> tuple[str, ...]:
    recorded = graph and device.startswith("cuda")
    return (f"{side}, compiled", *([f"{side}, compiled, graph"] if recorded else []))


def at_largest(case: Case, batch: int | None = None) -> Bench:
    """Steps of the batch that fills half the card; its size, FLOPs and the outputs' difference.

    batch: None: is searched.
    """
    facts = {"difference": largest_difference(case), "flops": flops_per_image(case)}
    batch = batch or case.batch or searched_batch(case)
    bench = steps_in_turn(case, batch, largest_rows(case.device))
    return Bench(bench.runs, {**facts, "batch": batch}, bench.rest)


def batch_alone(case: Case) -> Bench:
    """The largest batch, without steps of it."""
    return Bench({}, {"batch": case.batch or searched_batch(case)})


def at_small(case: Case) -> Bench:
    """Steps of the recipes' batch, one by one and recorded."""
    return steps_in_turn(case, case.small, small_rows(case.device))


def steps_in_turn(case: Case, batch: int, rows: tuple[str, ...]) -> Bench:
    """Each with a network of its own; gradients are dropped between turns, so that activations of
    one of them alone lie on the card."""
    runs: dict[str, Callable[[], object]] = {}
    eager: list[nn.Module] = []
    for row in rows:
        side, how = row.split(", ", 1)
        network, channels_last = network_of(side, case), "channels_last" in how
        if channels_last:
            network.to(memory_format=torch.channels_last)
        runs[row] = step_of(side, how, network, Inputs(case, batch, channels_last))
        if "cudnn.benchmark" in how:
            runs[row] = partial(with_cudnn_benchmark, runs[row])
        if "graph" not in how:  # whose gradients stay where they were recorded
            eager.append(network)
    return Bench(runs, rest=lambda: [each.zero_grad(set_to_none=True) for each in eager])


def with_cudnn_benchmark(step: Callable[[], object]) -> None:
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        step()


def compiled(side: str, case: Case, batch: int, graph: bool) -> Bench:
    """The same compiled, at its first call; and recorded as a graph."""
    network = network_of(side, case)
    network.compile(backend=case.backend, dynamic=False)
    inputs = Inputs(case, batch)
    rows = compiled_rows(side, case.device, graph=graph)
    return Bench(
        {row: step_of(side, row, network, inputs) for row in rows},
        rest=lambda: None if graph else network.zero_grad(set_to_none=True),
    )


# How large a batch, how many FLOPs, and whether both compute the same


def searched_batch(case: Case) -> int:
    """The largest with which a step of either side runs in half the card."""
    networks = {side: network_of(side, case) for side in ("ours", "diffusers")}

    def steps(batch: int) -> Iterator[Callable[[], object]]:
        inputs = Inputs(case, batch)
        for side, network in networks.items():
            yield step_of(side, "tuned", network, inputs)
            network.zero_grad(set_to_none=True)

    def peak(batch: int) -> int:
        return allocated_at_most(next(steps(batch)))

    def fits(batch: int) -> bool:
        return runs_within(SHARE, partial(steps, batch))

    return largest_batch(fits, guessed(SHARE, peak))


def flops_per_image(case: Case) -> float:
    """Of a step of ours, multiply-adds counted twice; theirs has the same layers."""
    few = 2
    network, inputs = network_of("ours", case), Inputs(case, few)
    return flops_of(lambda: inputs.loss(network).backward()) / few


@torch.no_grad()
def largest_difference(case: Case) -> float:
    """Of the outputs of both sides' networks in fp32."""
    inputs = Inputs(case, 2)
    text = Conditioning(inputs.tokens, mask=inputs.mask)
    ours = network_of("ours", case)(inputs.x_t, inputs.timestep, text)
    theirs = network_of("diffusers", case)(inputs.x_t, inputs.timestep, inputs.tokens).sample
    return (ours - theirs).abs().max().item()
