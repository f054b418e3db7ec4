"""What a benchmark's JSON says of how its numbers came about."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch


def protocol(options: argparse.Namespace, device: str = "cpu") -> dict[str, str]:
    """The settings that a benchmark was given, and the machine that ran it."""
    return {**{key: str(value) for key, value in vars(options).items()}, "machine": machine(device)}


def machine(device: str = "cpu") -> str:
    """The processor, as far as the system says, with torch's threads and instructions; or the
    GPU."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    return f"{processor()}, {threads} threads, {capability}"


def processor() -> str:
    info = Path("/proc/cpuinfo")  # of Linux; platform.processor() says nothing there
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
