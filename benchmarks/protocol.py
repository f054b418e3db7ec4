"""What a benchmark's JSON says of how its numbers came about."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch


def protocol(options: argparse.Namespace, device: str | None = None) -> dict[str, str]:
    """The settings that a benchmark was given, and the machine that ran it.

    device: None: what Accelerate takes, a GPU where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return {**{key: str(value) for key, value in vars(options).items()}, "machine": machine(device)}


def machine(device: str = "cpu") -> str:
    """The processor, as far as the system says, with torch's threads and instructions; and the
    GPU, if it was one that did the work."""
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    said = f"{processor()}, {threads} threads, {capability}"
    return f"{torch.cuda.get_device_name()}; {said}" if device.startswith("cuda") else said


def processor() -> str:
    info = Path("/proc/cpuinfo")  # of Linux; platform.processor() says nothing there
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
