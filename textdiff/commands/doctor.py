"""What this installation is and can do: versions, devices, threads, precision, missing extras."""

from __future__ import annotations

from textdiff.config import Settings
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


def run(settings: DoctorSettings) -> None:
    """Prints one line per fact."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from textdiff import __version__
    from textdiff.devices import pick_device
    from textdiff.precision import matmul_seconds
    from textdiff.training.precision import choose_precision

    def version_of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "MISSING"

    device = pick_device("auto")
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
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} processors",
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
