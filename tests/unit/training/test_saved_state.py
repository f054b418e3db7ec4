"""What a checkpoint must agree with before a run continues from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.training.progress import Progress
from textdiff.training.saved_state import (
    TrainingState,
    newest_steady,
    read_checkpoint,
    rounds_otherwise,
    write_checkpoint,
)


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
    write_checkpoint(folder, state, Progress(step=3, seconds=1.5), keep=1)
    return next(checkpoint.checkpoints(folder))


def test_all_of_it_comes_back_in_place(tmp_path):
    saved = state_of({"seed": 0}, {"counts": torch.tensor([4, 5])})
    counts = torch.zeros(2, dtype=torch.int64)
    fresh = state_of({"seed": 0}, {"counts": counts})
    progress = read_checkpoint(written(tmp_path, saved), fresh)
    assert (progress.step, progress.unevaluated) == (3, False)
    assert progress.seconds == pytest.approx(1.5, abs=0.2)
    assert counts.tolist() == [4, 5]
    assert torch.equal(fresh.model.weight, saved.model.weight)
    moments = [s.optimizer.state[s.model.weight]["exp_avg"] for s in (fresh, saved)]
    assert torch.equal(*moments)


def test_health_comes_back_in_place(tmp_path):
    saved, fresh = state_of({}), state_of({})
    saved.health.see(0.5)
    saved.health.skip()
    read_checkpoint(written(tmp_path, saved), fresh)
    assert fresh.health == saved.health
    assert fresh.health.skipped == 1


@pytest.mark.parametrize("stem", ["linear", "optimizer"])
def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path, stem):
    """Of a version that saved such."""
    saved = state_of({})
    tensors = {
        "linear": saved.model.weight.data,
        "optimizer": saved.optimizer.state[saved.model.weight]["exp_avg"],
    }
    tensors[stem][0] = float("inf")
    folder = written(tmp_path, saved)
    with pytest.raises(CheckpointError, match=rf"{stem}\.safetensors: 'weight\S*' holds values"):
        read_checkpoint(folder, state_of({}))


def test_the_newest_from_before_the_rise_is_found_and_kept(tmp_path):
    state = state_of({})
    state.health.see(1.0)
    for step in (1, 2, 3, 4, 5):
        if step == 3:
            state.health.see(1e9)
        write_checkpoint(tmp_path, state, Progress(step=step), keep=1)
    assert list(checkpoint.steps_of(tmp_path)) == [5, 2]
    assert newest_steady(tmp_path, before=5) == tmp_path / "step-000002"
    assert newest_steady(tmp_path, before=2) is None


def test_checkpoints_of_steps_left_out_do_not_drive_out_the_one_before(tmp_path):
    state = state_of({})
    state.health.see(1.0)
    for step in (1, 2, 3, 4, 5):
        if step >= 3:
            state.health.skip()
        write_checkpoint(tmp_path, state, Progress(step=step), keep=2)
    assert list(checkpoint.steps_of(tmp_path)) == [5, 4, 1]  # 2 has the weights of 3, untried


@pytest.mark.parametrize(
    ("before", "now"), [({"loss": "a"}, {"loss": "b"}), ({"loss": "a"}, {}), ({}, {"loss": 0})]
)
def test_settings_must_be_the_same_also_where_one_side_lacks_them(tmp_path, before, now):
    folder = written(tmp_path, state_of(before))
    message = f"was trained with loss = {before.get('loss')}, now it is {now.get('loss')}; set it"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder, state_of(now))


def test_that_an_evaluation_is_due_comes_back(tmp_path):
    late = Progress(step=3, unevaluated=True)
    write_checkpoint(tmp_path, state_of({}), late, keep=1)
    assert read_checkpoint(tmp_path / "step-000003", state_of({})).unevaluated


def test_on_the_same_machine_the_bits_are_promised(tmp_path):
    state = state_of({})
    state.windows.append({})
    assert rounds_otherwise(written(tmp_path, state), state, 1, timed=False) is None


def test_with_a_limit_of_time_no_bits_are_promised(tmp_path):
    state = state_of({})
    said = rounds_otherwise(written(tmp_path, state), state, 1, timed=True)
    assert said is not None
    assert said.endswith(": train.max_minutes lets the clock decide")


@pytest.mark.parametrize(
    ("changed", "now"),
    [({"torch": "2.0.1"}, f"torch 2.0.1 before, {re.escape(torch.__version__)} now"),
     ({"device": "cuda (NVIDIA H100)"}, r"device cuda \(NVIDIA H100\) before, cpu \(\w+\) now"),
     ({"windows": [{}, {}]}, "processes 2 before, 1 now")],
    ids=["torch", "device", "processes"],
)  # fmt: skip
def test_elsewhere_the_promise_is_withdrawn_in_words(tmp_path, changed, now):
    state = state_of({})
    folder = written(tmp_path, state)
    file = folder / checkpoint.STATE
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    said = rounds_otherwise(folder, state, 1, timed=False)
    assert re.search(f"^it goes on, but not to the bits of a run without a stop: {now}$", said)


@pytest.mark.parametrize("key", ["seconds", "fixed"])
def test_a_state_that_lacks_what_a_run_needs_is_refused(tmp_path, key):
    state = state_of({})
    file = written(tmp_path, state) / checkpoint.STATE
    values = json.loads(file.read_text())
    del values[key]
    file.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=rf"state\.json has no {key}: it is damaged"):
        read_checkpoint(file.parent, state)
