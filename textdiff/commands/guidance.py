"""Guidance compared: classifier-free, by CLIP, and both, at several scales.

Every setting draws the same prompts from the same noise. Measured are prompt following and CLIP
score, by CLIPs that took no part and by the one that guides; the distance of the pictures from real
ones, in the features of the former; and the time. A CLIP that guides is no judge: what it gains
beyond the others is what it was gamed by. One run has one form of CLIP guidance (a noised CLIP at
x_t, a clean one at x_0_hat with or without the U-Net's Jacobian); `--table` shows several runs side
by side.
"""

from __future__ import annotations

from textdiff.errors import require_extra
from textdiff.evaluation.guidance.settings import GuidanceSettings


def run(settings: GuidanceSettings) -> None:
    """Load, draw, score, show.

    Raises:
        UsageError: an evaluator that took part, settings that the model cannot follow, a file of
            another protocol, fewer than two prompts, files that do not compare.
    """
    from textdiff.evaluation.guidance.merge import read_sweeps
    from textdiff.evaluation.guidance.plot import draw_sweep
    from textdiff.evaluation.guidance.run import run_sweep
    from textdiff.evaluation.guidance.table import print_sweep
    from textdiff.files import check_file

    for flag in ("json", "plot", "grid"):
        check_file(f"--{flag}", getattr(settings, flag))
    if settings.plot:
        require_extra("plot", "--plot")
    sweep = read_sweeps(settings.table) if settings.table else run_sweep(settings)
    print_sweep(sweep)
    if settings.plot:
        draw_sweep(settings.plot, sweep)
        print(f"plot: {settings.plot}")
