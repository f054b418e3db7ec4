"""Which values of metrics.jsonl stand in which chart, and what each chart says.

A new value of a training becomes visible by one entry in `CHARTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textdiff.evaluation.report.document import Block, Chart, Charts, Missing, Part, Section
from textdiff.evaluation.report.log import Log
from textdiff.evaluation.report.plot import Curve, plot, smoothed

FEW = 12  # points of a curve that is not worth smoothing


@dataclass(frozen=True)
class Choice:
    """curves: (pattern of the names in the log, name in the legend, which may use its groups).

    log: by logarithms. smooth: with the mean of neighbours, the values themselves faint.
    """

    title: str
    meaning: str
    curves: tuple[tuple[str, str], ...]
    log: bool = False
    smooth: bool = False


CHARTS = (
    Choice(
        "Training loss",
        "What the optimizer lowers, on the batches it learns from. It falls fast, then slowly; the "
        "scatter is that of noise and timesteps from batch to batch.",
        (("loss", "loss"), ("contrastive", "contrastive"), ("distillation", "distillation")),
        log=True,
        smooth=True,
    ),
    Choice(
        "Held-out error of the predicted noise",
        "On pictures that are never trained on, by quarter of the timesteps. A curve that rises "
        "again while the loss falls is learning by heart.",
        (
            (r"held_out/eps_mse_q1", "least noisy quarter"),
            (r"held_out/eps_mse_q2", "second"),
            (r"held_out/eps_mse_q3", "third"),
            (r"held_out/eps_mse_q4", "noisiest quarter"),
        ),
        log=True,
    ),
    Choice(
        "Nearer than the mean picture",
        "By what share the predicted picture is nearer to the true one than the mean of all "
        "pictures is: 0 is no better than that mean, 1 is exact. Training far above held out is "
        "learning by heart.",
        (
            ("held_out/below_mean", "held-out pictures"),
            ("training/below_mean", "training pictures"),
            (r"held_out/below_mean_q4", "held out, noisiest quarter"),
        ),
    ),
    Choice(
        "Held-out bits/dim",
        "The variational bound on pictures that are never trained on; fewer bits are better.",
        (("held_out/bits_per_dim", "bound"),),
    ),
    Choice(
        "Held-out reconstructions, dB",
        "How like held-out pictures a VAE's reconstructions are; at the height of mean colours it "
        "has learned nothing.",
        (
            ("held_out/psnr", "reconstructions"),
            ("held_out/psnr_of_mean_colour", "mean colours"),
        ),
    ),
    Choice(
        "Bits in the latents",
        "What a VAE's latents say of a held-out picture, KL to N(0, I); near 0 they say nothing.",
        (("held_out/kl_bits", "bits"),),
        log=True,
    ),
    Choice(
        "Text matters",
        "How far the predicted picture moves when only the prompt is another, as a share of how "
        "far the two true pictures are apart; 0 is a model that does not read.",
        (("text/change", "change"),),
    ),
    Choice(
        "Held-out retrieval, R@1",
        "How often the right caption, or picture, comes first among those of the held-out split.",
        (
            (r"held_out/image_to_text_R@1", "image to text"),
            (r"held_out/text_to_image_R@1", "text to image"),
            (r"held_out/image_to_text_chance R@1", "chance"),
        ),
    ),
    Choice(
        "Held-out retrieval under noise, R@5",
        "How often the right caption is among the first five, by timestep of the noise.",
        ((r"held_out/R@5_t(\d+)", r"t = \1"), (r"held_out/chance_R@5", "chance")),
    ),
    Choice(
        "Learning rate",
        "Warm-up, then the schedule of the settings.",
        (("lr", "learning rate"),),
    ),
    Choice(
        "Gradient norm",
        "Before clipping. Peaks that grow are a learning rate that is too high.",
        (("grad_norm", "norm"),),
        log=True,
        smooth=True,
    ),
    Choice(
        "Logit scale",
        "How sharply the CLIP tells pairs apart, exp(t); it is held between 1 and 100.",
        (("logit_scale", "scale"),),
    ),
    Choice(
        "Pace",
        "Images per second; other work on the machine shows as dips.",
        (("images_per_second", "images/s"),),
        smooth=True,
    ),
)


def learning(log: Log | None) -> Part:
    """The section of curves."""
    blocks: list[Block] = []
    charts = [] if log is None else [chart for each in CHARTS if (chart := chart_of(each, log))]
    if charts:
        blocks.append(Charts(charts))
    else:
        why = "the folder has no metrics.jsonl" if log is None else "metrics.jsonl has no values"
        blocks.append(Missing("Curves", why, "A training writes it, every --train.log-every steps"))
    if log is not None and log.unreadable:
        blocks.append(
            Missing("Some values", f"{log.unreadable} lines of metrics.jsonl cannot be read")
        )
    lead = "Whether the training learned: its own log, step by step."
    return Part(Section("learning", "Learning", lead, blocks))


def chart_of(choice: Choice, log: Log) -> Chart | None:
    """None where the log has none of its values."""
    curves = []
    for name, points in log.curves.items():
        for pattern, legend in choice.curves:
            if match := re.fullmatch(pattern, name):
                curves.append(Curve(match.expand(legend), points))
    if not curves:
        return None
    order = [legend for _, legend in choice.curves]
    curves.sort(key=lambda curve: order.index(curve.name) if curve.name in order else -1)
    if choice.smooth and len(curves[0].points) > FEW:
        curves = [
            each
            for curve in curves
            for each in (
                Curve(curve.name, curve.points, faint=True),
                Curve(curve.name, smoothed(curve.points)),
            )
        ]
    return Chart(choice.title, choice.meaning, plot(curves, choice.log, log.last_step or 0))
