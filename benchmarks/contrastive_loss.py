"""Memory and time of `contrastive_loss` and of open_clip's ClipLoss, forward and backward.

    python benchmarks/contrastive_loss.py --rows 1024 4096 8192 --dim 512 --repeats 3

Each measurement is a fresh process, and the losses take turns, so that what one leaves behind or
what the machine does meanwhile does not favour either.

Time: median and range over the processes of the second of two passes in each (the first warms up).
Memory: high-water mark of the process after one pass (ru_maxrss, which the kernel keeps: nothing is
sampled), less that of a process that only holds the inputs and has run the same loss on 64 pairs.
Both losses end with the gradients of the features, 2 B D numbers, which count on both sides.
Error: largest difference from float64, of the loss, of the gradient of the scale, and, relative to
their largest entry, of the features' gradients; for sizes where B x B float64 take at most 1 GB.

A text's cosine with its image is about 0.32, as after some training. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from protocol import protocol
from torch import Tensor

from textdiff.clip.contrastive.loss import DENSE_LOGITS, TILE_SIZE, contrastive_loss, sigmoid_loss
from textdiff.evaluation.results import write_numbers

NOISE = 3.0
WARM_UP = 64
MEBIBYTE = 2**20
REFERENCE_ROWS = 11_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1024, 4096, 8192, 16384, 32768])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--scale", type=float, default=14.3, help="exp(t); 100 is CLIP's largest")
    parser.add_argument("--repeats", type=int, default=3, help="processes per measurement")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--losses", nargs="+", default=["open_clip", "textdiff"])
    parser.add_argument("--tile-size", type=int, default=TILE_SIZE)
    parser.add_argument("--dense-logits", type=int, default=DENSE_LOGITS)
    parser.add_argument("--no-errors", action="store_true", help="skip the comparison to float64")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--measure", nargs=2, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# In the measured process


def inputs(rows: int, dim: int, scale: float, dtype=torch.float32) -> list[Tensor]:
    """Leaves: image features, text features, logit scale."""
    rng = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(rows, dim, generator=rng), dim=1)
    texts = torch.randn(rows, dim, generator=rng).mul_(NOISE / dim**0.5).add_(images)
    texts = F.normalize(texts, dim=1)
    return [x.to(dtype).requires_grad_() for x in (images, texts, torch.tensor(scale))]


def loss_of(name: str, options: argparse.Namespace) -> Callable[..., Tensor]:
    if name == "open_clip":
        from open_clip.loss import ClipLoss

        return ClipLoss()
    if name == "open_clip_siglip":
        from open_clip.loss import SigLipLoss

        return lambda i, x, s: SigLipLoss()(i, x, s, torch.tensor(-10.0))
    if name == "textdiff_siglip":
        return lambda i, x, s: sigmoid_loss(
            i, x, s, torch.tensor(-10.0), tile_size=options.tile_size
        )
    return lambda i, x, s: contrastive_loss(
        i, x, s, tile_size=options.tile_size, dense_logits=options.dense_logits
    )


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(what: str, name: str, options: argparse.Namespace) -> float | list[float]:
    """`what`: "idle" or "memory" (peak bytes without and with a pass), "time", "error"."""
    loss, rows = loss_of(name, options), options.rows[0]
    loss(*inputs(WARM_UP, options.dim, options.scale)).backward()
    leaves = inputs(rows, options.dim, options.scale)
    if what == "idle":
        return peak_bytes()
    value = loss(*leaves)
    value.backward()
    if what == "memory":
        return peak_bytes()
    if what == "error":
        return errors(value, leaves, options)
    for leaf in leaves:
        leaf.grad = None
    start = time.perf_counter()
    loss(*leaves).backward()
    return time.perf_counter() - start


def errors(value: Tensor, leaves: list[Tensor], options: argparse.Namespace) -> list[float]:
    """Of the loss, and of the gradients of images, texts and scale."""
    exact = inputs(len(leaves[0]), options.dim, options.scale, torch.float64)
    for leaf, given in zip(exact, leaves, strict=True):
        leaf.data.copy_(given.data)
    images, texts, scale = exact
    with torch.no_grad():  # of figure 3 of arXiv 2103.00020, written out: fewer copies of B x B
        logits = scale * images @ texts.T
        rows, columns = logits.logsumexp(1), logits.logsumexp(0)
        reference = ((rows + columns) / 2 - logits.diagonal()).mean()
        weight = (logits - rows[:, None]).exp_()
        weight += logits.sub_(columns).exp_()
        weight.diagonal().sub_(2)
        weight /= 2 * len(rows)
        pulled = weight @ texts
        gradients = scale * pulled, scale * weight.T @ images, (pulled * images).sum()
    off = [
        ((leaf.grad - wanted).abs().max() / (wanted.abs().max() if wanted.ndim else 1)).item()
        for leaf, wanted in zip(leaves, gradients, strict=True)
    ]
    return [(value - reference).abs().item(), *off]


# In the process that asks


def in_fresh_process(what: str, name: str, rows: int, options: argparse.Namespace):
    command = [sys.executable, __file__, "--measure", what, name, "--rows", str(rows)]
    for key in ("dim", "scale", "tile_size", "dense_logits", "threads"):
        if getattr(options, key) is not None:
            command += [f"--{key.replace('_', '-')}", str(getattr(options, key))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:  # most likely out of memory
        print(f"{name} at {rows} failed: {done.stderr[-300:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def compare(rows: int, options: argparse.Namespace) -> list[dict]:
    found: dict[str, dict] = {name: {"seconds": [], "mib": []} for name in options.losses}
    for _ in range(options.repeats):
        for name, result in found.items():
            result["seconds"].append(in_fresh_process("time", name, rows, options))
            idle = in_fresh_process("idle", name, rows, options)
            peak = in_fresh_process("memory", name, rows, options)
            result["mib"].append(None if peak is None else (peak - idle) / MEBIBYTE)
    for name, result in found.items():
        if not options.no_errors and rows <= REFERENCE_ROWS and "siglip" not in name:
            result["errors"] = in_fresh_process("error", name, rows, options)
    return [{"rows": rows, "loss": name, **result} for name, result in found.items()]


def spread(values: list[float | None], digits: int) -> str:
    if None in values:
        return "failed"
    middle, *ends = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({'-'.join(ends)})"


def main() -> None:
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.measure:
        print(json.dumps(measure(*options.measure, options)))
        return
    gradients = 2 * options.dim * 4 / MEBIBYTE
    print("| B | loss | MiB above the inputs | of it gradients | seconds | error |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    results = []
    for rows in options.rows:
        for row in compare(rows, options):
            results.append(row)
            error = f"{max(row['errors']):.1e}" if row.get("errors") else ""
            print(
                f"| {rows} | {row['loss']} | {spread(row['mib'], 0)} | {gradients * rows:.0f} "
                f"| {spread(row['seconds'], 3)} | {error} |",
                flush=True,
            )
    write_numbers(options.json, {"protocol": protocol(options, "cpu"), "results": results})


if __name__ == "__main__":
    main()
