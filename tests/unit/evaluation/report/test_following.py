"""Best and worst pictures, and what is said of CLIPs."""

from __future__ import annotations

import torch

from textdiff.evaluation.report.following import first_of_prompts


def test_the_best_picture_of_each_prompt_alone():
    quality = torch.tensor([1.0, 5.0, 4.0, 2.0, 3.0, 3.0])
    prompts = ["a", "a", "b", "b", "c", "c"]
    assert first_of_prompts(quality, prompts, 2) == [1, 2]
    assert first_of_prompts(quality, prompts, 9) == [1, 2, 4]
    assert first_of_prompts(-quality, prompts, 2) == [0, 3]


def test_pictures_that_are_no_choice_are_left_out():
    quality = torch.tensor([-torch.inf, 2.0, -torch.inf])
    assert first_of_prompts(quality, ["a", "b", "c"], 3) == [1]
