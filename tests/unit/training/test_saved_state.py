"""What a checkpoint must agree with before a run continues from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.training.saved_state import TrainingState, read_checkpoint, write_checkpoint


def state_of(fixed: dict[str, Any], task: dict[str, torch.Tensor] | None = None) -> TrainingState:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return TrainingState(
        name="linear",
        model=model,
        optimizer=optimizer,
        ema=None,
        scaler=None,
        task=task or {},
        fixed=fixed,
    )


def written(folder: Path, state: TrainingState) -> Path:
    write_checkpoint(folder, state, step=3, seconds=1.5, keep=1)
    return next(checkpoint.checkpoints(folder))


def test_all_of_it_comes_back_in_place(tmp_path):
    saved = state_of({"seed": 0}, {"counts": torch.tensor([4, 5])})
    counts = torch.zeros(2, dtype=torch.int64)
    fresh = state_of({"seed": 0}, {"counts": counts})
    assert read_checkpoint(written(tmp_path, saved), fresh) == (3, 1.5)
    assert counts.tolist() == [4, 5]
    assert torch.equal(fresh.model.weight, saved.model.weight)
    moments = [s.optimizer.state[s.model.weight]["exp_avg"] for s in (fresh, saved)]
    assert torch.equal(*moments)


@pytest.mark.parametrize(
    ("before", "now"), [({"loss": "a"}, {"loss": "b"}), ({"loss": "a"}, {}), ({}, {"loss": 0})]
)
def test_settings_must_be_the_same_also_where_one_side_lacks_them(tmp_path, before, now):
    folder = written(tmp_path, state_of(before))
    message = f"was trained with loss = {before.get('loss')}, now it is {now.get('loss')}; set it"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder, state_of(now))
