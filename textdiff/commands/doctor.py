"""What this installation is and can do: versions, devices, cores, precision, missing extras."""

from __future__ import annotations

from textdiff.config import Settings
from textdiff.cores import Cores
from textdiff.errors import EXTRAS, missing_packages

PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "diffusers",
    "accelerate",
    "datasets",
    "safetensors",
    "pydantic",
    "Pillow",
    "numpy",
)


class DoctorSettings(Settings):
    """Nothing to set."""


def may_use(cores: Cores) -> str:
    """How many of them this process may use, and how much time on them."""
    limit = "no limit" if cores.limit is None else f"time of {cores.limit:.3g}"
    return f"{cores.allowed}, {limit} by its container"


def run(settings: DoctorSettings) -> None:
    """Prints one line per fact."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from textdiff import __version__
    from textdiff.cores import core_of_processor, measure_cores
    from textdiff.devices import pick_device
    from textdiff.precision import matmul_seconds
    from textdiff.threads import choose_threads, variable_of_user
    from textdiff.training.precision import choose_precision

    def version_of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "MISSING"

    device, cores = pick_device("auto"), measure_cores()
    threads = choose_threads(variable=variable_of_user(), measure=lambda: cores)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    mps = torch.backends.mps.is_available()
    flops = 2 * 512**3 / 1e9
    speed = {
        name: flops / matmul_seconds(dtype, device)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    rows = {
        "textdiff": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        **{package: version_of(package) for package in PACKAGES},
        "devices": ", ".join(["cpu", *gpus, *(["mps"] if mps else [])]),
        "cores": f"{len(set(core_of_processor()))} with {os.cpu_count()} processors",
        "allowed cores": may_use(cores),
        "free cores": f"{cores.free:.1f}" if cores.measured else "cannot be measured here",
        "threads": f"{threads.number} ({threads.why})",
        "matmul": ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in speed.items()),
        "precision auto": f"{choose_precision('auto', device)} on {device}",
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    for extra in EXTRAS:
        missing = missing_packages(extra)
        cure = f"missing: pip install {' '.join(missing)}"
        rows[f"extra {extra}"] = cure if missing else "installed"
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
