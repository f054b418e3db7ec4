"""A line of a log is judged as the task that wrote it judges it."""

from __future__ import annotations

import pytest

from textdiff.training.learning.answer import answer
from textdiff.training.learning.errors import Errors
from textdiff.training.learning.vae import VaeNumbers
from textdiff.training.learning.words import Evidence, recall_verdict, verdict

ERRORS = Errors((0.005, 0.04, 0.1, 0.2), (0.01, 0.1, 0.3, 0.38), 0.4)
MODEL = {**ERRORS.values("held_out"), "text/prompts_that_matter": 3, "text/prompts": 4}
CLIP = {
    "held_out/image_to_text_R@1": 0.5,
    "held_out/text_to_image_R@1": 0.7,
    "held_out/image_to_text_chance R@1": 0.1,
    "held_out/text_to_image_chance R@1": 0.2,
}
NOISED_CLIP = {"held_out/R@5_t0": 0.8, "held_out/R@5_t500": 0.2, "held_out/chance_R@5": 0.25}

VAE = {"held_out/psnr": 25.0, "held_out/psnr_of_mean_colour": 12.0}
VAE |= {"held_out/channels_used": 3.0, "held_out/channels": 4.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (MODEL, verdict(Evidence(held_out=ERRORS, matter=3, prompts=4), 100)),
        (CLIP, recall_verdict(1.2, 0.1 + 0.2, 100)),
        (NOISED_CLIP, recall_verdict(0.5, 0.25, 100)),
        (VAE, VaeNumbers.verdict(VAE, 100)),
        ({"loss": 0.3}, []),
        ({"held_out/R@5_t0": 0.8}, []),  # half a line: nothing to compare with
    ],
    ids=["model", "clip", "noised clip", "vae", "training values alone", "chance is missing"],
)
def test_the_task_is_told_by_its_values(values, expected):
    assert answer({**values, "step": 100, "lr": 1e-3}, 100) == expected
