"""What the GPU benchmark runs on, and how many FLOP per second it could do."""

from __future__ import annotations

import argparse
import os
import subprocess

import torch
from protocol import protocol

from textdiff.evaluation.protocol import versions
from textdiff.precision import matmul_seconds

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, by the makers' data sheets


def about(options: argparse.Namespace, device: str) -> tuple[dict[str, str], float]:
    """What it runs on, and the peak of bf16 products in FLOP per second."""
    said = {**protocol(options, device), **versions()}
    said |= {"torch": torch.__version__, "cuda": str(torch.version.cuda)}
    said["cores"] = str(os.cpu_count())
    on_gpu = device.startswith("cuda")
    if on_gpu:
        import triton

        said["card"] = card()
        said["cudnn"] = str(torch.backends.cudnn.version())
        said["triton"] = triton.__version__
    size = 8192 if on_gpu else 512
    measured = 2 * size**3 / matmul_seconds(torch.bfloat16, device, size)
    known = [peak for name, peak in PEAKS.items() if name in said.get("card", "")]
    peak, source = (known[0], "data sheet") if known else (measured, "measured product")
    said["bf16 matrix product"] = f"{measured / 1e12:.1f} TFLOP/s of {size} x {size}, measured"
    said["bf16 peak"] = f"{peak / 1e12:.1f} TFLOP/s, {source}"
    return said, peak


def card() -> str:
    """Name, driver and memory."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return said or torch.cuda.get_device_name()
