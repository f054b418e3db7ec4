"""Which arithmetic is chosen: what is asked for, what accelerate was launched with, what pays."""

from __future__ import annotations

import pytest
import torch

from textdiff import precision
from textdiff.checkpoint import save_checkpoint
from textdiff.errors import UsageError
from textdiff.precision import bf16_pays
from textdiff.training.precision import choose_precision, recorded_precision


@pytest.fixture
def probe(monkeypatch):
    """Sets what the probe finds bf16 to take, where fp32 takes 1; accelerate says nothing."""
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)

    def takes(seconds: float) -> None:
        found = {torch.float32: 1.0, torch.bfloat16: seconds}
        monkeypatch.setattr(precision, "matmul_seconds", lambda dtype: found[dtype])
        bf16_pays.cache_clear()

    yield takes
    bf16_pays.cache_clear()


@pytest.mark.parametrize(("seconds", "chosen"), [(0.25, "bf16"), (0.9, "no"), (150.0, "no")])
def test_auto_takes_bf16_where_it_is_clearly_faster(probe, seconds, chosen):
    probe(seconds)
    assert choose_precision("auto", "cpu") == chosen


@pytest.mark.parametrize("asked", ["no", "bf16", "fp16"])
def test_what_is_asked_for_wins(probe, monkeypatch, asked):
    probe(0.25 if asked == "no" else 4.0)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert choose_precision(asked, "cuda") == asked


def test_what_accelerate_was_launched_with_wins_over_the_probe(probe, monkeypatch):
    probe(4.0)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    assert choose_precision("auto", "cuda") == "fp16"


@pytest.mark.parametrize(("seconds", "recorded"), [(0.25, "no"), (4.0, "bf16")])
def test_a_run_that_goes_on_keeps_its_own_whatever_the_probe_says_now(
    probe, tmp_path, seconds, recorded
):
    probe(seconds)
    assert recorded_precision(tmp_path) is None
    save_checkpoint(tmp_path, 3, {}, {"fixed": {"precision": recorded}}, keep=9)
    (save_checkpoint(tmp_path, 5, {}, {"fixed": {}}, keep=9) / "state.json").write_text("{")
    assert choose_precision("auto", "cpu", recorded_precision(tmp_path)) == recorded
    assert choose_precision("bf16", "cpu", "no") == "bf16"  # asked for: `resume` will refuse it


def test_a_recorded_precision_that_is_none_is_not_taken(tmp_path):
    save_checkpoint(tmp_path, 3, {}, {"fixed": {"precision": "int3"}}, keep=9)
    assert recorded_precision(tmp_path) is None


def test_fp16_is_refused_on_a_cpu():
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        choose_precision("fp16", "cpu")


def test_mps_gets_no_mixed_precision(probe):
    probe(0.25)
    assert choose_precision("auto", "mps") == "no"


def test_the_probe_uses_one_thread_and_leaves_their_number_as_it_was(monkeypatch):
    seen = []

    def takes(dtype: torch.dtype) -> float:
        seen.append(torch.get_num_threads())
        return 1.0

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(precision, "matmul_seconds", takes)
    bf16_pays.cache_clear()
    try:
        bf16_pays("cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
        bf16_pays.cache_clear()
    assert seen == [1, 1]
