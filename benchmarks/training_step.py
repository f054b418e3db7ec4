"""Seconds per training step of our U-Net and of diffusers' with the same weights, side by side.

    python benchmarks/training_step.py --block-channels 64 128 192 --batch-size 32

Both do forward, L_simple, backward and AdamW on the same inputs in this process, in turn; printed
are medians with their quartiles, and the largest difference of the outputs before timing. Peak
memory is that of the process, so run `--only ours` and `--only diffusers` to compare it.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time

import torch

from textdiff.interop import layout_to_diffusers, unet_from_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.training.precision import choose_precision
from textdiff.types import Conditioning

TOKENS, WIDTH = 16, 256


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--block-channels", type=int, nargs="+", default=[64, 128, 192])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--patch-size", type=int, default=1, help="1: the same as diffusers")
    parser.add_argument("--norm-groups", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5, help="2 or more")
    parser.add_argument("--precision", choices=["auto", "no", "bf16"], default="auto")
    parser.add_argument("--only", choices=["ours", "diffusers"], default=None)
    return parser.parse_args()


def networks(options: argparse.Namespace) -> dict[str, torch.nn.Module]:
    """Both networks with the same weights."""
    from diffusers import UNet2DConditionModel

    channels = tuple(options.block_channels)
    attention = (False,) + (True,) * (len(channels) - 1)
    config = UNetConfig(
        image_size=options.image_size,
        block_channels=channels,
        layers_per_block=options.layers,
        attention=attention,
        head_dim=options.head_dim,
        cross_attention_dim=WIDTH,
        norm_groups=options.norm_groups,
        patch_size=options.patch_size,
    )
    if options.patch_size > 1:  # diffusers has no such layout
        return {"ours": UNet(config)}
    theirs = UNet2DConditionModel(**layout_to_diffusers(config))
    return {"ours": unet_from_diffusers(theirs).train(), "diffusers": theirs}


def main() -> None:
    options = arguments()
    torch.manual_seed(0)
    size, batch = options.image_size, options.batch_size
    x_t, eps = torch.randn(2, batch, 3, size, size)
    timestep = torch.randint(1000, (batch,))
    tokens, mask = torch.randn(batch, TOKENS, WIDTH), torch.ones(batch, TOKENS).bool()
    both = networks(options)
    calls = {
        "ours": lambda: both["ours"](x_t, timestep, Conditioning(tokens, mask=mask)),
        "diffusers": lambda: (
            both["diffusers"](x_t, timestep, tokens, encoder_attention_mask=mask).sample
        ),
    }
    difference = None
    if len(both) == 2:
        with torch.no_grad():
            difference = (calls["ours"]() - calls["diffusers"]()).abs().max().item()
    parameters = both["ours"].num_parameters
    names = [options.only] if options.only else list(both)
    for name in set(both) - set(names):
        del both[name]
    optimizers = {name: torch.optim.AdamW(both[name].parameters(), lr=1e-4) for name in names}
    precision = choose_precision(options.precision, "cpu")

    def step(name: str) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = (calls[name]() - eps).square().mean()
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()
        return time.perf_counter() - start

    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(options.repeats + 1):  # the first round warms up
        for name in names:
            elapsed = step(name)
            if repeat:
                seconds[name].append(elapsed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        "settings": vars(options) | {"precision": precision},
        "parameters": parameters,
        "largest_output_difference": difference,
        "peak_memory_gib": peak / (2**30 if sys.platform == "darwin" else 2**20),
    }
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        result[name] = {
            "seconds_per_step": {"median": middle, "quartiles": [low, high]},
            "images_per_second": batch / middle,
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
