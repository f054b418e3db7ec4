"""The GPU benchmark on a CPU: its time plan, its search, its tables; all of it at tiny sizes."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """The benchmark's modules that need nothing but torch."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = ("batch", "schedule", "workers")
    return SimpleNamespace(**{name: importlib.import_module(f"gpu_{name}") for name in names})


def refused():
    raise ValueError("no such | kernel")


def job(gpu, name="job", limit=60.0, facts=(), **runs):
    def make(**given):
        return gpu.workers.Bench(
            {row: lambda run=run: run(**given) for row, run in runs.items()}, dict(facts)
        )

    return gpu.schedule.Job(name, tuple(runs), make, {}, limit)


def carried_out(gpu, *jobs, left=600.0, **settings):
    usual = {"device": "cpu", "rounds": 3, "cycles": 1, "turn": 0.0}
    return gpu.schedule.carry_out(jobs, end=time.monotonic() + left, **{**usual, **settings})


class TestSchedule:
    def test_what_fails_costs_its_own_row_alone(self, gpu):
        def none(**given):
            raise ValueError("no such | kernel")

        broken = gpu.schedule.Job("broken", ("never",), none, {}, 60.0)
        found = carried_out(gpu, broken, job(gpu, works=lambda: None, fails=refused)).rows
        assert len(found["job"]["works"].seconds) == 3
        assert found["job"]["fails"].why == "ValueError: no such / kernel"
        assert found["broken"]["never"].why == "ValueError: no such / kernel"

    def test_without_time_nothing_starts_and_each_row_says_so(self, gpu):
        called = []
        late = job(gpu, one=lambda: called.append(1), other=lambda: called.append(1))
        rows = carried_out(gpu, late, left=3.0).rows["job"]
        assert not called
        assert [row.why for row in rows.values()] == ["skipped: 3 s were left"] * 2
        rows["one"].why = "changed"  # rows are not one object
        assert rows["other"].why != "changed"

    def test_with_time_left_all_is_measured_again_but_what_failed(self, gpu):
        calls = {"works": 0, "fails": 0}

        def works():
            calls["works"] += 1

        def fails():
            calls["fails"] += 1
            refused()

        jobs = job(gpu, "good", works=works), job(gpu, "bad", fails=fails)
        found = carried_out(gpu, *jobs, cycles=3)
        assert len(found.rows["good"]["works"].seconds) == 9
        assert calls["fails"] == 1

    def test_a_repetition_that_may_not_fit_is_left_out(self, gpu, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr(gpu.schedule.time, "monotonic", lambda: clock[0])

        def slow():
            clock[0] += 5.0

        found = gpu.schedule.carry_out(
            [job(gpu, slow=slow)], device="cpu", end=70.0, rounds=1, cycles=9, turn=0.0
        )
        each = found.took["job"]
        assert each == clock[0] / (clock[0] // each)
        assert 70.0 - clock[0] < gpu.schedule.MARGIN * each

    def test_the_batch_that_one_found_is_given_to_the_other(self, gpu):
        given = []
        first = job(gpu, "first", facts={"batch": 96.0}, run=lambda: None)
        second = job(gpu, "second", run=lambda batch: given.append(batch))
        second = replace(second, batch_of="first")
        lost = replace(second, name="lost", batch_of="unknown")
        found = carried_out(gpu, first, second, lost)
        assert set(given) == {96}
        assert found.rows["lost"]["run"].why == "skipped: 'unknown' found no batch"

    def test_a_run_that_measures_itself_runs_once(self, gpu):
        once = replace(job(gpu, run=lambda: {"speed": 7}, bad=refused), timed=False)
        rows = carried_out(gpu, once).rows["job"]
        assert rows["run"].said == {"speed": 7}
        assert rows["bad"].why.startswith("ValueError")


class TestApart:
    """A process of its own, which a GPU's benches have."""

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["forkserver", "spawn"])
    def test_it_computes(self, gpu, monkeypatch, method):
        monkeypatch.setattr(gpu.workers.Apart, "start_method", method)
        monkeypatch.setattr(gpu.workers, "PRELOADED", ("gpu_loss",))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT)]))
        losses = importlib.import_module("gpu_loss")
        given = {"rows": 64, "dim": 16, "device": "cpu", "tiles": (32,)}
        worker, end = gpu.workers.Apart(losses.losses, given, "cpu"), time.monotonic() + 300
        worker.wait(end)
        assert tuple(worker.ready.runs) == losses.loss_rows((32,))
        assert worker.ask("turn", "ours", 2, end=end).seconds > 0
        assert "KeyError" in worker.ask("turn", "none", 1, end=end).why
        worker.stop()
        assert not worker.process.is_alive()
        worker.stop()  # nothing is left to do

    @pytest.mark.slow
    def test_it_fails_and_is_stopped_at_its_limit(self, gpu, monkeypatch):
        monkeypatch.setattr(gpu.workers.Apart, "start_method", "spawn")
        worker = gpu.workers.Apart(int, {"no": "such argument"}, "cpu")
        worker.wait(time.monotonic() + 120)
        assert "TypeError" in worker.gone
        worker.stop()
        slow = gpu.workers.Apart(time.sleep, {}, "cpu")
        slow.wait(time.monotonic())
        assert slow.gone == "stopped at its time limit"
        assert not slow.process.is_alive()
        assert slow.ask("turn", "any", 1, end=time.monotonic()).why == slow.gone

    def test_where_forking_is_refused_it_spawns(self, gpu, monkeypatch):
        workers, started = gpu.workers, []
        monkeypatch.setattr(workers.Apart, "start_method", "forkserver")
        answers = [workers.Failed(f"RuntimeError: Cannot {workers.BAD_FORK}")]
        answers += [workers.Ready(["run"], {})]
        monkeypatch.setattr(workers.Apart, "_start", lambda self: started.append(self.start_method))
        monkeypatch.setattr(workers.Apart, "_answer", lambda self, end: answers.pop(0))
        monkeypatch.setattr(workers.Apart, "stop", lambda self: None)
        worker = workers.Apart(int, {}, "cuda")
        worker.wait(0.0)
        assert (worker.ready.runs, started) == (["run"], ["forkserver", "spawn"])
        assert workers.Apart.start_method == "spawn"


class TestLargestBatch:
    @pytest.mark.parametrize("limit", [32, 95, 500, 1888])
    def test_it_fits_and_little_more_would(self, gpu, limit):
        tried = []

        def fits(batch):
            tried.append(batch)
            return batch <= limit

        found = gpu.batch.largest_batch(fits, guess=2000)
        assert found % 32 == 0
        assert found <= limit < found / gpu.batch.LESS + 2 * 32
        assert tried[-1] == found

    def test_a_guess_that_fits_is_taken(self, gpu):
        assert gpu.batch.largest_batch(lambda batch: True, guess=200) == 192

    def test_none_fits(self, gpu):
        with pytest.raises(RuntimeError, match="not even a batch of 32"):
            gpu.batch.largest_batch(lambda batch: False, guess=100)

    def test_lack_of_memory_is_caught_and_nothing_else(self, gpu, monkeypatch):
        shares = []
        monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

        def lacking():
            raise torch.OutOfMemoryError("CUDA out of memory")

        assert gpu.batch.runs_within(0.5, lambda: iter([lambda: None]))
        assert not gpu.batch.runs_within(0.5, lambda: iter([lambda: None, lacking]))
        with pytest.raises(ValueError):
            gpu.batch.runs_within(0.5, lambda: iter([refused]))
        assert shares == [0.5, 1.0] * 3

    def test_the_guess_lies_on_the_line_through_two_batches(self, gpu, monkeypatch):
        card = SimpleNamespace(total_memory=100_000)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
        assert gpu.batch.guessed(0.5, lambda batch: 2_000 + 100 * batch) == 480


def test_kernels_are_told_apart_by_their_names():
    profile = importlib.import_module("gpu_profile")
    kinds = {
        "void cudnn::ops::nchwToNhwcKernel<__nv_bfloat16, float>": "memory layout of convolutions",
        "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32": "convolutions",
        "nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTT": "matrix products",
        "sm90_xmma_gemm_bf16bf16_bf16f32_tn_n_tilesize128": "matrix products",
        "pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits>": "attention",
        "void at::native::(anonymous namespace)::RowwiseMomentsCUDAKernel<float>": "norms",
        "void at::native::elementwise_kernel<4, direct_copy_kernel>": "copies, casts, fills",
        "void at::native::vectorized_elementwise_kernel<4, silu_kernel>": "element by element",
        "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<Adam>": (
            "optimizer and average"
        ),
        "something else": "others",
    }
    assert {name: profile.kind_of(name) for name in kinds} == kinds
    kernels = [profile.Kernel(name, 2, 1.5) for name in kinds]
    grouped = profile.by_kind(kernels)
    assert (grouped[0].name, grouped[0].calls, grouped[0].ms) == ("matrix products", 4, 3.0)
    assert sum(each.ms for each in grouped) == pytest.approx(15.0)
    assert profile.short_name("void at::native::f<a|b>(int, float)") == "f<a/b>"
    assert len(profile.short_name("x" * 500)) == profile.NAME


def test_sections_are_complete_and_the_plan_ends_in_eight_minutes():
    plan = importlib.import_module("gpu_plan")
    every = plan.sections(plan.Sizes(), "cuda", "inductor")
    assert {section.group for section in every} == set(plan.GROUPS)
    jobs = [each for section in every for each in section.jobs]
    assert len({each.name for each in jobs}) == len(jobs)
    assert plan.Sizes().total <= 460
    assert "100M" in jobs[0].name
    needed = plan.asked_for(every, ["profile"])
    assert next(each.name for section in needed for each in section.jobs) == jobs[0].name


@pytest.mark.slow
def test_every_section_ends_with_its_table(tmp_path):
    """By the script itself, in a process of its own."""
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--dry-run", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    titles = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("## ")]
    assert titles == [
        *("Training", "Where", "Where", "Where", "Where", "Training", "2", "2"),
        *("Contrastive", "Whole", "Training", "Training", "Guidance"),
    ]
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["about"]["torch"]
    rows = {(job, name): row for job, rows in found["rows"].items() for name, row in rows.items()}
    assert {key: row["why"] for key, row in rows.items() if row["why"]} == {}
    assert set(found["rows"]["train tiny, 16x16, the largest batch"]) == {
        *("ours, eager", "diffusers, as its script", "diffusers, tuned"),
    }
    assert rows["train tiny, 16x16, the largest batch, ours compiled", "ours, compiled"]["seconds"]
    assert rows["loop", "textdiff, 0 workers"]["said"]["median"] > 0
    assert rows["profile tiny, 16x16, ours", "ours, profile"]["said"]["kernels"]
    assert found["facts"]["train tiny, 16x16, the largest batch"]["difference"] < 1e-3


def test_a_python_that_lacks_packages_is_told_which(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--dry-run"]
    environment = {**os.environ, "PYTHON": str(bare)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "lacks torch, torchvision, open_clip_torch" in done.stderr
