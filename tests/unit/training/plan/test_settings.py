"""Whose training a plan is of: found from its files and flags."""

from __future__ import annotations

import pytest

from tests.helpers.paths import ROOT
from textdiff.config import parse_flags
from textdiff.errors import UsageError
from textdiff.training.plan.settings import (
    SCHEMAS,
    schema_for,
    schema_of,
    task_of,
    training_settings,
)

CONFIGS = ROOT / "configs"


@pytest.mark.parametrize(
    ("argv", "task"),
    [
        (["--config", "quickstart", "--clip", "runs/clip"], "train"),
        (["--config=quickstart_clip"], "train-clip"),
        (["--config", "scenes_clip", "--data", "scenes"], "train-clip"),
        (["--config", "noised_clip_openmoji", "--init", "c"], "finetune-clip"),
        (["--config", "prior_diffusion", "--embeddings", "e"], "train-prior"),
        (["--loss.perceptual-weight", "2"], "train-vae"),
        (["--task", "train-clip", "--data", "scenes"], "train-clip"),
        (["--task=train-vae"], "train-vae"),
        (["--gpu", "l4", "h100", "--clip_guidance", "1"], "train"),  # which no training has
    ],
)
def test_the_task_is_the_first_that_knows_all_settings(argv, task):
    assert schema_for(argv) is schema_of(task)


def test_what_was_left_out_stays_so():
    """So that a width is still taken from the CLIP, and not from a default."""
    argv = ["--config", str(CONFIGS / "quickstart.yaml"), "--clip", "c", "--gpu", "l4"]
    settings = parse_flags(schema_for(argv), argv, "plan", "")
    training = training_settings(settings)
    assert type(training) is SCHEMAS["train"] and task_of(settings) == "train"
    assert not {"gpu", "run_dir", "resume"} & training.model_fields_set
    assert "cross_attention_dim" not in training.model_dump(exclude_unset=True)["unet"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpu", "l4", "l4"], "gpu l4 l4 names one twice"),
        (["--gpu", "gtx"], "gpu"),
        (["--gpus", "8"], "gpus 8 of which kind"),
        (["--gpu-memory", "0"], "greater than 0"),
        (["--utilisation", "1.5"], "less than or equal to 1"),
        (["--data-images", "0"], "greater than or equal to 1"),
        (["--task", "train-unet"], "task"),
        (["--unet.chanels", "3"], "unknown flag '--unet.chanels'"),
    ],
)
def test_what_cannot_be_planned(flags, message):
    argv = ["--clip", "c", *flags]
    with pytest.raises(UsageError, match=message):
        parse_flags(schema_for(argv), argv, "plan", "")
