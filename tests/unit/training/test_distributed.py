"""Two processes with batch B train like one with batch 2B (gloo, real launches)."""

from __future__ import annotations

import pytest

from tests.helpers.command import launch

# the histories of 2 buckets fill in the first step, from both processes' terms
BY_IMPORTANCE = [
    *("--objective.loss", "vlb", "--objective.timesteps", "importance"),
    *("--objective.buckets", "2", "--objective.history", "1"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("train.py", []),
        ("train.py", BY_IMPORTANCE),
        ("train_clip.py", []),
        ("train_clip.py", ["--train.encoder-batch-size", "1"]),
        ("train_clip.py", ["--loss.kind", "sigmoid"]),
    ],
    ids=["unet", "unet by importance", "clip", "clip in groups", "clip by sigmoid"],
)
def test_two_processes_give_the_curve_of_one_with_twice_the_batch(
    tmp_path, configs, shapes, tiny_clip, script, flags
):
    if script == "train.py":
        arguments = ["--config", str(configs / "unet.yaml"), "--clip", str(tiny_clip), *flags]
    else:
        arguments = ["--config", str(configs / "clip.yaml"), *flags]
    arguments += ["--data.source", str(shapes), "--train.steps", "5", "--train.log-every", "1"]
    one = launch(1, script, [*arguments, "--train.batch-size", "4"], tmp_path / "one")
    two = launch(2, script, [*arguments, "--train.batch-size", "2"], tmp_path / "two")
    assert len(one) == 5
    assert one[0] != pytest.approx(one[-1], rel=1e-3)  # it learned: the curve says something
    assert two == pytest.approx(one, rel=2e-4)
