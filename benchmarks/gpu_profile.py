"""Where the time of a training step goes on the card: kernels of one step, by time and by kind.

three steps to warm up ── one under torch.profiler ──► kernels (a CPU: operators) ──► Profile
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpu_training import Case, Inputs, network_of, step_of
from gpu_workers import Bench
from rounds import seconds_of

WARM_UPS = 3
TOP = 15
NAME = 72  # characters of a kernel's name that are shown

# the first that a name matches; names of cuDNN, cuBLAS, PyTorch and, on a CPU, of operators
KINDS = (
    ("memory layout of convolutions", r"nchwtonhwc|nhwctonchw|transpose|tensortransform"),
    ("attention", r"flash|fmha|attention|softmax|sdpa"),
    ("optimizer and average", r"multi_tensor|foreach|fused_?adam|lerp"),
    ("convolutions", r"conv(?!ert)|cudnn|fprop|dgrad|wgrad|implicit|winograd"),
    ("matrix products", r"gemm|cutlass|nvjet|cublas|matmul|addmm|bmm|::mm\b"),
    ("norms", r"norm|moments|welford"),
    ("copies, casts, fills", r"copy|memcpy|memset|fill|cat|::to\b|zero"),
    ("sums", r"reduce|sum"),
    ("element by element", r"elementwise|vectorized|unrolled|silu|gelu|add|mul|div|sub|sigmoid"),
)


@dataclass(frozen=True)
class Kernel:
    name: str
    calls: int
    ms: float


@dataclass(frozen=True)
class Profile:
    """step_ms: of a step that is not profiled. kernels: of one step, the longest first."""

    step_ms: float
    kernels: tuple[Kernel, ...]

    @property
    def busy_ms(self) -> float:
        """Of all kernels."""
        return sum(kernel.ms for kernel in self.kernels)


def profile_row(side: str) -> str:
    return f"{side}, profile"


def profiled(case: Case, batch: int, side: str = "ours") -> Bench:
    """A run that returns the Profile of a step, eager and in bf16."""
    step = step_of(side, "tuned", network_of(side, case), Inputs(case, batch))
    return Bench({profile_row(side): lambda: profile_of(step, case.device)})


def profile_of(step: Callable[[], object], device: str) -> Profile:
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    for _ in range(WARM_UPS):
        step()
    seconds = seconds_of(lambda: [step() for _ in range(WARM_UPS)], device) / WARM_UPS
    cuda = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as found:
        seconds_of(step, device)
    wanted = DeviceType.CUDA if cuda else DeviceType.CPU
    kernels = [
        Kernel(
            event.key,
            event.count,
            (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1e3,
        )
        for event in found.key_averages()
        if event.device_type == wanted and not event.is_user_annotation
    ]
    longest = sorted(kernels, key=lambda kernel: -kernel.ms)
    return Profile(1e3 * seconds, tuple(longest))


def kind_of(name: str) -> str:
    """Of a kernel, by its name."""
    lower = name.lower()
    return next((kind for kind, pattern in KINDS if re.search(pattern, lower)), "others")


def by_kind(kernels: Iterable[Kernel]) -> list[Kernel]:
    """A Kernel per kind, the longest first."""
    calls: dict[str, int] = defaultdict(int)
    ms: dict[str, float] = defaultdict(float)
    for kernel in kernels:
        calls[kind_of(kernel.name)] += kernel.calls
        ms[kind_of(kernel.name)] += kernel.ms
    return sorted((Kernel(kind, calls[kind], ms[kind]) for kind in ms), key=lambda each: -each.ms)


def short_name(name: str) -> str:
    """Without what templates repeat, fit for a Markdown table."""
    bare = re.sub(r"^void |at::native::|\(anonymous namespace\)::|\(.*\)$", "", name)
    bare = bare.replace("|", "/").replace("`", "'")
    return bare if len(bare) <= NAME else f"{bare[: NAME - 3]}..."
