"""What is not finite reaches neither weights nor checkpoints."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from tests.helpers.paths import ROOT
from tests.helpers.two_processes import free_port
from textdiff.errors import NonFiniteLossError
from textdiff.training.guard import BadStep, BatchStatistics, Guard, bad_step
from textdiff.training.health import Health
from textdiff.training.run_folder import RunFolder
from textdiff.training.saved_state import TrainingState

NAN = float("nan")
ONE_PROCESS = SimpleNamespace(num_processes=1, scaler=None, print=print)


class Task:
    def __init__(self) -> None:
        self.model, self.skipped = torch.nn.BatchNorm1d(2), 0

    def after_skip(self) -> None:
        self.skipped += 1


def guard(tmp_path, accelerator=ONE_PROCESS, budget: int = 10) -> Guard:
    it = Guard(Task(), RunFolder(tmp_path), accelerator, budget=budget, health=Health())
    it.before_step()
    return it


def lets(guard: Guard, step: int, loss: float = 1.0, grad_norm: float = 1.0) -> bool:
    finite = torch.tensor([True, loss == loss, True])
    return guard.lets(
        step,
        losses={"loss": loss},
        norms={"gradient norm": grad_norm},
        samples=torch.tensor([7, 8, 9]),
        finite=finite,
    )


def test_a_finite_step_is_taken(tmp_path):
    assert lets(guard(tmp_path), 0)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"loss": NAN}, "the loss is nan at step 5 (samples [8])"),
        ({"loss": NAN, "grad_norm": NAN}, "the loss is nan at step 5 (samples [8])"),
        ({"grad_norm": float("inf")}, "the gradient norm is inf at step 5 (samples [7, 8, 9])"),
    ],
)
def test_one_that_is_not_is_left_out_logged_and_said(tmp_path, capsys, values, said):
    it = guard(tmp_path)
    assert not lets(it, 5, **values)
    assert it.task.skipped == 1
    assert said in capsys.readouterr().out
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 6, "skipped_steps": 1}\n'


def test_a_second_loss_counts_and_its_rate_is_named(tmp_path, capsys):
    """That of an adversary: its samples are not known."""
    it = Guard(
        Task(),
        RunFolder(tmp_path),
        ONE_PROCESS,
        budget=1,
        health=Health(),
        rates="--train.lr and --adversary.lr",
    )
    it.before_step()
    same = {"norms": {}, "samples": torch.tensor([4, 5]), "finite": torch.tensor([True, True])}
    assert not it.lets(0, losses={"loss": 1.0, "adversary's loss": NAN}, **same)
    assert "the adversary's loss is nan at step 0 (samples [4, 5])" in capsys.readouterr().out
    with pytest.raises(NonFiniteLossError, match=r"lower --train\.lr and --adversary\.lr"):
        it.lets(1, losses={"loss": 1.0, "adversary's loss": NAN}, **same)


def test_too_many_in_a_row_end_the_run(tmp_path):
    it = guard(tmp_path)
    for step in range(3):
        assert not lets(it, step, loss=NAN)
    with pytest.raises(NonFiniteLossError, match=r"step 3 .*: 4 in a row; no checkpoint is from"):
        lets(it, 3, loss=NAN)


def test_statistics_of_batch_norms_are_put_back(tmp_path):
    it = guard(tmp_path)
    it.task.model(torch.rand(4, 2))
    before = {name: buffer.clone() for name, buffer in it.task.model.named_buffers()}
    it.before_step()
    it.task.model(torch.full((4, 2), NAN))
    assert not lets(it, 0, loss=NAN)
    assert all(torch.equal(before[name], b) for name, b in it.task.model.named_buffers())


def test_a_model_without_batch_norms_keeps_nothing():
    statistics = BatchStatistics(torch.nn.Linear(2, 2))
    statistics.keep()
    statistics.put_back()


class Scaler:
    def __init__(self, scale: float) -> None:
        self.scale, self.updated = scale, 0

    def get_scale(self) -> float:
        return self.scale

    def update(self) -> None:
        self.updated += 1


@pytest.mark.parametrize(("scale", "taken"), [(65536.0, True), (1.0, False)])
def test_fp16_lowers_its_scale_by_itself_until_there_is_nothing_to_lower(tmp_path, scale, taken):
    accelerator = SimpleNamespace(num_processes=1, scaler=Scaler(scale), print=print)
    assert lets(guard(tmp_path, accelerator), 0, grad_norm=float("inf")) == taken
    assert accelerator.scaler.updated == (not taken)


def test_samples_are_those_of_the_process_that_met_the_cause(monkeypatch):
    """The other one's gradients are NaN because this one's loss is."""
    here = {"loss": 1.0, "gradient norm": NAN}
    monkeypatch.setattr(
        "accelerate.utils.gather_object", lambda met: [*met, (0, "loss is inf", [4])]
    )
    two = SimpleNamespace(num_processes=2)
    assert bad_step(two, 3, here, [1, 2]) == BadStep(3, "loss is inf", [4])


def test_a_message_names_the_first_few_samples():
    assert str(BadStep(1, "loss is nan", list(range(20)))) == (
        "the loss is nan at step 1 (samples [0, 1, 2, 3, 4, 5, 6, 7], ...)"
    )


@pytest.mark.parametrize("spoilt", ["model", "optimizer", "task"])
def test_what_is_not_finite_is_not_saved(tmp_path, spoilt):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    terms = torch.zeros(3)
    tensors = {
        "model": model.weight.data,
        "optimizer": optimizer.state[model.weight]["exp_avg_sq"],
        "task": terms,
    }
    tensors[spoilt].view(-1)[1] = NAN
    state = TrainingState(
        name="model",
        model=model,
        optimizer=optimizer,
        ema=None,
        scaler=None,
        task={"terms": terms},
        fixed={},
    )
    with pytest.raises(NonFiniteLossError, match=rf"after step 4 .* not finite in {spoilt}: "):
        guard(tmp_path).check(state, 4)


IN_TWO = """
import sys
from types import SimpleNamespace
import torch
from textdiff.training.guard import Guard
from textdiff.training.health import Health
from textdiff.training.launch import accelerator_for
from textdiff.training.run_folder import RunFolder

accelerator = accelerator_for("no")
rank = accelerator.process_index
task = SimpleNamespace(model=torch.nn.Linear(1, 1))
run = RunFolder(sys.argv[1], accelerator.is_main_process)
guard = Guard(task, run, accelerator, budget=10, health=Health())
nan = float("nan")
for step, bad in enumerate((None, 1, None)):
    guard.before_step()
    loss = nan if rank == bad else 1.0
    samples = torch.tensor([10 * rank, 10 * rank + 1])
    norms = {"gradient norm": 1.0 if bad is None else nan}
    finite = torch.tensor([True, rank != bad])
    taken = guard.lets(step, losses={"loss": loss}, norms=norms, samples=samples, finite=finite)
    assert taken == (bad is None)
assert guard.health.skipped == 1
"""


@pytest.mark.slow
def test_a_loss_that_one_process_meets_is_left_out_by_all(tmp_path):
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", IN_TWO, str(tmp_path)],
            env={**os.environ, **shared, "RANK": str(k), "LOCAL_RANK": str(k)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for k in (0, 1)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], outputs
    assert "left out: the loss is nan at step 1 (samples [11])" in outputs[0]
    assert "left out" not in outputs[1]
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 2, "skipped_steps": 1}\n'
