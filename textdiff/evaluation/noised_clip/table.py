"""The table of `textdiff noised-clip`, and a line on each metric."""

from __future__ import annotations

from textdiff.evaluation.noised_clip.result import Comparison, NoisedClipResult
from textdiff.evaluation.tables import print_table
from textdiff.metrics.bootstrap import Estimate


def print_levels(result: NoisedClipResult, source: str) -> None:
    """A row per timestep, a column per metric: clean, noised. source: where the images are from."""
    comparisons = result.comparisons
    rows = [
        [str(t), f"{ac**0.5:.3f}", *(level_cell(each, level) for each in comparisons.values())]
        for level, (t, ac) in enumerate(zip(result.timesteps, result.alphas_cumprod, strict=True))
    ]
    means = [each.means for each in comparisons.values()]
    rows.append(["mean", "", *(cell(each.clean, each.noised) for each in means)])
    rows.append(["chance", "", *(f"{100 * result.chance[metric]:.1f}" for metric in comparisons)])
    short = [m.replace("image to text", "i2t").replace("text to image", "t2i") for m in comparisons]
    title = f"{result.searched} noised images of {source}; in %: clean CLIP, noised CLIP"
    print_table(title, ["t", "signal", *short], rows)
    for metric, comparison in comparisons.items():
        print(summary(metric, comparison, result.timesteps[0]))


def level_cell(comparison: Comparison, level: int) -> str:
    return cell(comparison.clean[level], comparison.noised[level])


def cell(clean: Estimate, noised: Estimate) -> str:
    return f"{100 * clean.value:.1f} {100 * noised.value:4.1f}"


def summary(metric: str, comparison: Comparison, first_timestep: int) -> str:
    """How far the noised CLIP is ahead, over all timesteps and at the first."""
    mean, first = comparison.means.difference, comparison.difference[0]
    return (
        f"{metric}, noised - clean: {mean.value:+.1%} ({mean.low:+.1%} to {mean.high:+.1%}) over "
        f"all timesteps, {first.value:+.1%} at t = {first_timestep}; ahead at t in "
        f"{comparison.ahead_at}, behind at {comparison.behind_at}"
    )
