"""One training step of our U-Net and of diffusers' with the same weights, side by side.

    python benchmarks/training_step.py --repeats 7 --json out/training_step.json
    python benchmarks/training_step.py --device cuda --batch-size 256 --profile ours

A step is forward, L_simple, backward, gradient clipping, AdamW and the moving average.

ours             as `textdiff train` does it: precision by probe, fused AdamW, our EMA
recomputed       the same with --train.activation-checkpointing
compiled         the same with --train.compile
diffusers        as diffusers' example script does by default: fp32, its attention, its EMAModel
diffusers tuned  autocast like ours, fused AdamW, EMAModel with foreach, and the attention that is
                 fastest: AttnProcessor (matrix products) on a CPU, AttnProcessor2_0 on a GPU
diffusers compiled  the same with torch.compile

Outputs are compared before anything is timed. Time: all variants in turn in one process, which
keeps freed memory for all of them; medians and quartiles over the rounds, ratios to the first
variant taken round by round. Alone: each in a fresh process, which keeps freed memory for ours
only, as `textdiff train` does; peak memory is what the steps add to the process (a GPU: allocated
by torch). Roofline: counted FLOPs of a step over what matrix products of the step's precision reach
here in the same time. Ours has fewer FLOPs for the same result: on a CPU the convolutions after
upsampling are folded. The counter does not see the fused attention that `diffusers` has on a CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import plain_unet
import torch
from diffusers_loop import fast_attention
from protocol import protocol
from rounds import seconds_of
from torch import Tensor, nn

from textdiff.evaluation.results import write_numbers
from textdiff.interop import layout_to_diffusers, unet_from_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.precision import matmul_seconds
from textdiff.training.allocator import keep_freed_memory
from textdiff.training.config import OptimizerConfig
from textdiff.training.ema import EMA
from textdiff.training.optimizer import build_optimizer
from textdiff.training.precision import choose_precision
from textdiff.types import Conditioning

TOKENS, WIDTH = 16, 256
OURS = ("ours", "recomputed", "compiled")
THEIRS = ("diffusers", "diffusers tuned", "diffusers compiled")
DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PARITY = 1e-4
GIBIBYTE = 2**30


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--variants", nargs="+", choices=OURS + THEIRS, default=["ours", *THEIRS[:2]]
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["auto", *DTYPES], default="auto")
    plain_unet.add_arguments(parser)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7, help="rounds, 2 or more")
    parser.add_argument("--no-alone", action="store_true", help="skip the fresh processes")
    parser.add_argument("--profile", choices=OURS + THEIRS, help="only print its operations")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--measure-alone", default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# What is timed


def config_of(options: argparse.Namespace) -> UNetConfig:
    return plain_unet.plain_unet(options, WIDTH, options.image_size)


class Inputs:
    """The same for every variant: a batch of noised images with the text of each."""

    def __init__(self, options: argparse.Namespace):
        rng = torch.Generator().manual_seed(0)
        size, batch = options.image_size, options.batch_size
        x_t, eps = torch.randn(2, batch, 3, size, size, generator=rng).to(options.device)
        self.x_t, self.eps = x_t, eps
        self.timestep = torch.randint(1000, (batch,), generator=rng).to(options.device)
        self.tokens = torch.randn(batch, TOKENS, WIDTH, generator=rng).to(options.device)
        self.mask = torch.ones(batch, TOKENS, dtype=torch.bool, device=options.device)

    def predict(self, network: nn.Module) -> Tensor:
        if isinstance(network, UNet):
            return network(self.x_t, self.timestep, Conditioning(self.tokens, mask=self.mask))
        return network(self.x_t, self.timestep, encoder_hidden_states=self.tokens).sample


def their_network(options: argparse.Namespace) -> nn.Module:
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(**layout_to_diffusers(config_of(options))).to(options.device)


def prepare(name: str, network: nn.Module) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
    """What a variant does to its network; its optimizer and its moving average's update."""
    if name.endswith("compiled"):
        network.compile()
    if name in OURS:
        if name == "recomputed":
            network.checkpoint_activations()
        return build_optimizer(network, OptimizerConfig()), EMA(network, 0.9999).update
    from diffusers.training_utils import EMAModel

    tuned = name != "diffusers"
    if tuned:
        network.set_attn_processor(fast_attention(next(network.parameters()).device))
    average = EMAModel(network.parameters(), decay=0.9999, foreach=tuned)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=tuned)
    return optimizer, lambda: average.step(network.parameters())


def training_step(
    name: str, network: nn.Module, inputs: Inputs, precision: str
) -> Callable[[], None]:
    optimizer, average = prepare(name, network.train())
    precision = "no" if name == "diffusers" else precision
    device = inputs.x_t.device.type
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def step() -> None:
        with torch.autocast(device, DTYPES[precision], enabled=precision != "no"):
            output = inputs.predict(network)
        loss = (output.float() - inputs.eps).square().mean()
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        average()

    return step


# How it is measured


def peak_bytes(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_alone(name: str, options: argparse.Namespace, precision: str) -> dict:
    """In a fresh process: memory above what was there before the first step, and time."""
    if name in OURS and options.device == "cpu":
        keep_freed_memory()
    if name in OURS:
        network = UNet(config_of(options)).to(options.device)
    else:
        network = their_network(options)
    step = training_step(name, network, Inputs(options), precision)
    before = peak_bytes(options.device)
    seconds = [seconds_of(step, options.device) for _ in range(2 + max(2, options.repeats))]
    return {"bytes": peak_bytes(options.device) - before, "seconds": seconds[2:]}


def alone(name: str, options: argparse.Namespace, precision: str) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:]]
    command += ["--measure-alone", name, "--precision", precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} alone failed: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def same_networks(options: argparse.Namespace, inputs: Inputs) -> tuple[dict, float]:
    """A network for each variant, all with diffusers' weights; the largest difference of output."""
    theirs = their_network(options)
    networks, outputs = {}, []
    for name in options.variants:
        if name in OURS:
            networks[name] = unet_from_diffusers(theirs).to(options.device)
        else:
            networks[name] = their_network(options)
            networks[name].load_state_dict(theirs.state_dict())
        with torch.no_grad():
            outputs.append(inputs.predict(networks[name]))
    difference = max((output - outputs[0]).abs().max().item() for output in outputs)
    if difference > PARITY:
        raise SystemExit(f"outputs differ by {difference}: these are not the same network")
    return networks, difference


def flops_of(step: Callable[[], None]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def peak_flops(precision: str, device: str) -> float:
    """FLOPs per second of matrix products."""
    size = 8192 if device.startswith("cuda") else 1024
    return 2 * size**3 / matmul_seconds(DTYPES[precision], device, size)


def print_profile(step: Callable[[], None], device: str) -> None:
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU]
    if device.startswith("cuda"):
        activities.append(ProfilerActivity.CUDA)
    for _ in range(2):
        step()
    with profile(activities=activities) as found:
        step()
    key = "self_cuda_time_total" if len(activities) > 1 else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=key, row_limit=30, max_name_column_width=50))


# What is reported


def quartiles(values: list[float]) -> dict:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "quartiles": [low, high]}


def shown(found: dict, digits: int) -> str:
    low, high = found["quartiles"]
    return f"{found['median']:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def compare(options: argparse.Namespace, precision: str) -> dict:
    inputs = Inputs(options)
    networks, difference = same_networks(options, inputs)
    if options.device == "cpu":
        keep_freed_memory()
    steps = {n: training_step(n, network, inputs, precision) for n, network in networks.items()}
    # the compiled form hides its operations from the counter
    flops = {name: flops_of(step) for name, step in steps.items() if "compiled" not in name}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(options.repeats + 1):  # the first warms up
        for name, step in steps.items():
            elapsed = seconds_of(step, options.device)
            if round_:
                seconds[name].append(elapsed)
    base = seconds[options.variants[0]]
    results = {}
    for name, values in seconds.items():
        used = "no" if name == "diffusers" else precision
        result = {"precision": used, "seconds": quartiles(values)}
        ratios = [value / first for value, first in zip(values, base, strict=True)]
        result["times_the_first"] = quartiles(ratios)
        if name in flops:
            peak = peak_flops(used, options.device)
            result |= {"flops": flops[name], "matmul_flops_per_second": peak}
            result["roofline"] = flops[name] / peak / result["seconds"]["median"]
        results[name] = result
    return {"largest_output_difference": difference, "variants": results}


def print_table(results: dict, first: str) -> None:
    print(f"| variant | precision | seconds per step | times {first} | GFLOP | of matmul peak | "
          "alone: seconds | alone: GiB |")  # fmt: skip
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, result in results.items():
        cells = [name, result["precision"], shown(result["seconds"], 3)]
        cells.append(shown(result["times_the_first"], 2))
        counted = "flops" in result
        cells += (
            [f"{result['flops'] / 1e9:.0f}", f"{result['roofline']:.0%}"] if counted else [""] * 2
        )
        if "alone" in result:
            cells += [shown(result["alone"]["seconds"], 3), f"{result['alone']['gib']:.2f}"]
        else:
            cells += [""] * 2
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    options = arguments()
    device = torch.device(options.device).type
    precision = choose_precision(options.precision, device)
    if options.measure_alone:
        print(json.dumps(measure_alone(options.measure_alone, options, precision)))
        return
    if options.profile:
        options.variants = [options.profile]
        inputs = Inputs(options)
        networks, _ = same_networks(options, inputs)
        step = training_step(options.profile, networks[options.profile], inputs, precision)
        print_profile(step, options.device)
        return
    # fresh processes first, while this one is small
    own = {} if options.no_alone else {n: alone(n, options, precision) for n in options.variants}
    found = compare(options, precision)
    for name, result in own.items():
        found["variants"][name]["alone"] = {
            "gib": result["bytes"] / GIBIBYTE,
            "seconds": quartiles(result["seconds"]),
        }
    print_table(found["variants"], options.variants[0])
    write_numbers(options.json, {"protocol": protocol(options, options.device), **found})


if __name__ == "__main__":
    main()
