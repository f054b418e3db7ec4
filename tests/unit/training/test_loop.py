"""What the loop does to weights, averages and learning rates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.helpers.command import textdiff
from tests.helpers.gradients import NanGradient
from textdiff import TextToImage, checkpoint
from textdiff.commands.cli import run
from textdiff.config import build
from textdiff.errors import CheckpointError, NonFiniteLossError, UsageError
from textdiff.models import attention, blocks
from textdiff.models.upsample import upsample_conv_plain
from textdiff.training import loop
from textdiff.training.config import ClipTrainConfig, OptimizerConfig, TrainConfig
from textdiff.training.ema import EMA
from textdiff.training.optimizer import build_optimizer, lr_factor
from textdiff.training.progress import Progress
from textdiff.training.tasks.diffusion import DiffusionTask

ADAMW = torch.optim.AdamW


def train(configs: Path, shapes: Path, clip: Path, folder: Path, *more: str) -> dict:
    """Runs `textdiff train`; returns the weights of its last checkpoint."""
    flags = ["--config", str(configs / "unet.yaml"), "--data.source", str(shapes)]
    run(["train", *flags, "--clip", str(clip), "--run-dir", str(folder), *more])
    newest = next(checkpoint.checkpoints(folder / "checkpoints"))
    return checkpoint.load_tensors(newest / "unet.safetensors")


# for trainings whose weights or losses alone are looked at
BARE = ["--train.eval-every", "1000000", "--preview.num-prompts", "0"]


@pytest.mark.slow
def test_drawing_samples_and_evaluating_do_not_change_the_weights(
    tmp_path, configs, shapes, tiny_clip
):
    often = train(configs, shapes, tiny_clip, tmp_path / "a", "--train.eval-every", "1")
    never = train(configs, shapes, tiny_clip, tmp_path / "b", *BARE)
    assert len(list((tmp_path / "a" / "samples").glob("step-*.png"))) == 7
    assert all(torch.equal(often[name], never[name]) for name in never)


@pytest.mark.slow
def test_workers_do_not_change_the_weights(tmp_path, configs, shapes, tiny_clip):
    few = [*BARE, "--train.steps", "2"]
    none = train(configs, shapes, tiny_clip, tmp_path / "a", *few)
    one = train(configs, shapes, tiny_clip, tmp_path / "b", *few, "--train.workers", "1")
    assert all(torch.equal(none[name], one[name]) for name in none)


@pytest.mark.slow
def test_the_cache_of_pixels_changes_no_weights(tmp_path, configs, shapes, tiny_clip, capsys):
    flags = [*BARE, "--train.steps", "2", "--data.cache-dir", str(tmp_path / "cache")]
    none = train(configs, shapes, tiny_clip, tmp_path / "a", *flags, "--data.cache", "off")
    assert not (tmp_path / "cache").exists()
    on = train(configs, shapes, tiny_clip, tmp_path / "b", *flags, "--data.cache", "on")
    assert f"resized pictures are read from {tmp_path / 'cache'}" in capsys.readouterr().out
    assert all(torch.equal(none[name], on[name]) for name in none)


def test_what_was_held_out_of_few_pictures_is_said(tmp_path, configs, shapes, tiny_clip, capsys):
    few = ["--data.max-images", "4", "--train.steps", "1"]
    train(configs, shapes, tiny_clip, tmp_path / "run", *few)
    assert "1 of 4 images held out as val" in capsys.readouterr().out


@pytest.mark.slow
def test_batches_made_ahead_do_not_change_the_weights(
    tmp_path, configs, shapes, tiny_clip, monkeypatch
):
    two = [*BARE, "--train.batch-size", "2", "--train.accumulation", "2"]
    usual = train(configs, shapes, tiny_clip, tmp_path / "a", *two)
    monkeypatch.setattr(loop, "looks_ahead", lambda device: True)
    ahead = train(configs, shapes, tiny_clip, tmp_path / "b", *two)
    assert all(torch.equal(usual[name], ahead[name]) for name in usual)


@pytest.mark.slow
def test_accumulation_equals_the_larger_batch(tmp_path, configs, shapes, tiny_clip):
    """The moments too: AdamW's weights alone would not show gradients of another scale."""
    same = [*BARE, "--train.max-grad-norm", "1e9", "--train.steps", "3"]
    whole, parts = tmp_path / "a", tmp_path / "b"
    train(configs, shapes, tiny_clip, whole, *same, "--train.batch-size", "4")
    half = ["--train.batch-size", "2", "--train.accumulation", "2"]
    train(configs, shapes, tiny_clip, parts, *same, *half)
    for stem in ("unet", "optimizer"):
        expected, found = (
            checkpoint.load_tensors(
                next(checkpoint.checkpoints(run / "checkpoints")) / f"{stem}.safetensors"
            )
            for run in (whole, parts)
        )
        assert expected.keys() == found.keys()
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)


def losses(run_dir: Path) -> list[float]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["activation-checkpointing", "compile"])
def test_options_for_speed_and_memory_keep_the_loss_curve(
    tmp_path, configs, shapes, tiny_clip, tiny_run, option, monkeypatch
):
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda m: compile_(m, backend="eager"))
    few = [*BARE, "--train.steps", "3", f"--train.{option}", "true"]
    other = train(configs, shapes, tiny_clip, tmp_path, *few)
    assert losses(tmp_path) == pytest.approx(losses(tiny_run)[:3], rel=1e-5)
    newest = next(checkpoint.checkpoints(tiny_run / "checkpoints"))
    assert other.keys() == checkpoint.load_tensors(newest / "unet.safetensors").keys()


def unfused(groups, fused, **settings) -> torch.optim.AdamW:
    return ADAMW(groups, **settings)


# what training does for speed alone, and the slower form of it
SLOWER = {
    "folded upsampling": (blocks, "upsample_conv", upsample_conv_plain),
    "attention by matrix products": (attention, "attend", scaled_dot_product_attention),
    "fused AdamW": (torch.optim, "AdamW", unfused),
}


@pytest.mark.slow
@pytest.mark.parametrize("faster", SLOWER)
def test_what_is_done_for_speed_keeps_the_loss_curve(
    tmp_path, configs, shapes, tiny_clip, tiny_run, monkeypatch, faster
):
    where, name, slower = SLOWER[faster]
    used = []

    def seen(*given, **settings):
        used.append(name)
        return slower(*given, **settings)

    monkeypatch.setattr(where, name, seen)
    train(configs, shapes, tiny_clip, tmp_path, *BARE)
    assert used
    assert losses(tiny_run) == pytest.approx(losses(tmp_path), rel=1e-4)


@pytest.mark.slow
def test_bf16_keeps_the_loss_curve(tmp_path, configs, shapes, tiny_clip, tiny_run):
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    flags += ["--run-dir", tmp_path, "--train.precision", "bf16", *BARE]
    done = textdiff("train", *flags)  # a process has one precision
    assert done.returncode == 0, done.stderr
    rounded, exact = losses(tmp_path), losses(tiny_run)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=1e-2)


def test_activation_checkpointing_is_refused_where_there_is_none(tmp_path, configs, shapes):
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    more = ["--run-dir", str(tmp_path / "run"), "--train.activation-checkpointing", "true"]
    with pytest.raises(UsageError, match="activation_checkpointing is for the U-Net; the clip"):
        run(["train-clip", *flags, *more])


@pytest.mark.slow
def test_gradients_are_scaled_down_to_their_largest_norm(tmp_path, configs, shapes, tiny_clip):
    """After one step AdamW's first moments are (1 - beta_1) times the gradients."""
    train(
        *(configs, shapes, tiny_clip, tmp_path, "--train.steps", "1"),
        *("--train.max-grad-norm", "0.01", *BARE),
    )
    newest = next(checkpoint.checkpoints(tmp_path / "checkpoints"))
    moments = checkpoint.load_tensors(newest / "optimizer.safetensors")
    first = [value for name, value in moments.items() if name.endswith("exp_avg")]
    assert torch.cat([m.flatten() for m in first]).norm().item() == pytest.approx(0.001, rel=1e-3)


def test_samples_come_from_the_average(tiny_run):
    newest = next(checkpoint.checkpoints(tiny_run / "checkpoints"))
    averages = checkpoint.load_tensors(newest / "ema.safetensors")
    weights = checkpoint.load_tensors(newest / "unet.safetensors")
    drawn_from = TextToImage.load(tiny_run).unet.state_dict()
    assert all(torch.equal(drawn_from[name], averages[name]) for name in averages)
    assert not torch.equal(averages["conv_in.weight"], weights["conv_in.weight"])


@pytest.mark.slow
def test_velocity_without_pooled_feature_trains_and_draws(tmp_path, configs, shapes, tiny_clip):
    more = ("--prediction", "v", "--use-pooled", "false")
    weights = train(configs, shapes, tiny_clip, tmp_path / "run", *more)
    assert not any("class_embedding" in name for name in weights)
    pipe = TextToImage.load(tmp_path / "run")
    assert pipe.config.prediction == "v"
    assert pipe("red circle", num_steps=2)[0].size == (16, 16)


@pytest.mark.slow
def test_a_run_stops_when_its_minutes_are_over(tmp_path, configs, shapes, tiny_clip):
    more = ("--train.max-minutes", "0.01", "--train.steps", "1000000")
    train(configs, shapes, tiny_clip, tmp_path / "run", *more, *BARE)
    newest = next(checkpoint.checkpoints(tmp_path / "run" / "checkpoints"))
    state = checkpoint.load_state(newest)
    assert 0 < state["step"] < 1_000_000
    assert state["seconds"] >= 0.6


@pytest.mark.slow
def test_resuming_with_other_settings_is_refused(tmp_path, configs, shapes, tiny_clip):
    train(configs, shapes, tiny_clip, tmp_path / "run", "--train.steps", "2", *BARE)
    before = (tmp_path / "run" / "model.yaml").read_bytes()
    with pytest.raises(CheckpointError, match=r"prediction = eps, now it is v"):
        train(configs, shapes, tiny_clip, tmp_path / "run", "--prediction", "v", *BARE)
    assert (tmp_path / "run" / "model.yaml").read_bytes() == before


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_lost(
    tmp_path, configs, shapes, tiny_clip, monkeypatch
):
    from textdiff.diffusion import objective

    simple_loss = objective.simple_loss
    monkeypatch.setattr(
        objective,
        "simple_loss",
        lambda target, output: simple_loss(target, NanGradient.apply(output)),
    )
    none = ["--train.max-skipped-steps", "0"]
    with pytest.raises(NonFiniteLossError, match="gradient norm is nan at step 0"):
        train(configs, shapes, tiny_clip, tmp_path / "run", *none)
    assert not list(checkpoint.checkpoints(tmp_path / "run" / "checkpoints"))


def test_metrics_hold_loss_speed_and_held_out_quarters(tiny_run):
    rows = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert all(row["images_per_second"] > 0 for row in rows if "loss" in row)
    held_out = [row for row in rows if "held_out/eps_mse" in row]
    assert [row["step"] for row in held_out] == [0, 3, 6]
    quarters = [held_out[-1][f"held_out/eps_mse_q{q}"] for q in (1, 2, 3, 4)]
    assert held_out[-1]["held_out/eps_mse"] == pytest.approx(sum(quarters) / 4)


def test_metrics_hold_what_an_examination_found(tiny_run):
    """At the end, whatever it costs; in between not, of a run so short."""
    rows = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "text/prompts" in row] == [6]
    last = rows[-1]
    assert last["text/prompts"] == 8
    assert -1 < last["average/ahead"] < 1
    assert last["training/x_0_mse_mean_picture"] > 0
    assert last["held_out/below_mean_q4"] < 1
    assert last["examination_seconds"] > 0


def test_samples_have_a_strip_from_step_0_on(tiny_run):
    columns = sorted(path.name for path in (tiny_run / "samples" / "timeline").iterdir())
    assert columns == ["step-000000.png", "step-000003.png", "step-000006.png"]
    assert (tiny_run / "samples" / "timeline.png").is_file()


def test_tensorboard_gets_the_same_scalars(tiny_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tiny_run / "tensorboard"))
    events.Reload()
    rows = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    want = [row["loss"] for row in rows if "loss" in row]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(want)


@pytest.mark.slow
def test_non_finite_loss_names_step_samples_and_checkpoint(
    tmp_path, configs, shapes, tiny_clip, monkeypatch
):
    poisoned = poison(monkeypatch, lambda step: step >= 3)
    none = ["--train.max-skipped-steps", "0"]
    with pytest.raises(NonFiniteLossError, match=r"step 3 .*step-000002") as error:
        train(configs, shapes, tiny_clip, tmp_path / "run", *BARE, *none)
    assert f"(samples {poisoned});" in str(error.value)
    assert error.value.exit_code == 5
    assert next(checkpoint.checkpoints(tmp_path / "run" / "checkpoints")).name == "step-000002"


def poison(monkeypatch, at: Callable[[int], bool]) -> list[int]:
    """The last sample's loss is not a number in the steps that `at` names; returns its ids."""
    losses, poisoned = DiffusionTask.losses, []

    def spoilt(task, model, batch, step):
        found = losses(task, model, batch, step)
        if not at(step):
            return found
        poisoned.append(int(batch.sample_ids[-1]))
        factor = torch.tensor([1.0] * (len(batch.captions) - 1) + [float("nan")])
        return {"loss": found["loss"] * factor}

    monkeypatch.setattr(DiffusionTask, "losses", spoilt)
    return poisoned


BY_IMPORTANCE = [
    *("--objective.loss", "vlb", "--objective.timesteps", "importance"),
    *("--objective.buckets", "2", "--objective.history", "1"),
]


@pytest.mark.slow
@pytest.mark.parametrize("objective", [[], BY_IMPORTANCE], ids=["simple", "importance"])
def test_a_run_resumed_after_a_step_left_out_has_the_same_bits(
    tmp_path, configs, shapes, tiny_clip, monkeypatch, capsys, objective
):
    poisoned = poison(monkeypatch, {1, 4}.__contains__)
    whole = train(configs, shapes, tiny_clip, tmp_path / "a", *BARE, *objective)
    assert f"step 1 (samples [{poisoned[0]}]); so far 1 of the 10" in capsys.readouterr().out
    for steps in ("2", "5", "6"):
        parts = train(
            *(configs, shapes, tiny_clip, tmp_path / "b", "--train.steps", steps, *BARE),
            *objective,
        )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    for run_dir in (tmp_path / "a", tmp_path / "b"):
        rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
        left_out = [(row["step"], row["skipped_steps"]) for row in rows if "skipped_steps" in row]
        assert left_out == [(2, 1), (5, 2)]
        assert [row["step"] for row in rows if "loss" in row] == [1, 3, 4, 6]


@pytest.mark.slow
def test_a_rate_that_ruins_the_weights_leaves_no_ruined_checkpoint(
    tmp_path, configs, shapes, tiny_clip
):
    more = ["--train.lr", "1e38", "--train.warmup-steps", "0", "--train.steps", "30"]
    often = ["--train.checkpoint-every", "1", *BARE]
    with pytest.raises(NonFiniteLossError, match="no checkpoint is from before the loss rose"):
        train(configs, shapes, tiny_clip, tmp_path / "run", *more, *often)
    for folder in checkpoint.checkpoints(tmp_path / "run" / "checkpoints"):
        for file in folder.glob("*.safetensors"):
            assert checkpoint.first_not_finite(checkpoint.load_tensors(file)) is None


@pytest.mark.slow
@pytest.mark.parametrize("lr", ["0.3", "10"])
def test_the_way_back_leads_to_before_the_rise_however_many_were_saved_since(
    tmp_path, configs, shapes, tiny_clip, monkeypatch, lr
):
    """Step 2 is from before; the later ones are ruined, though their weights are finite."""
    train(configs, shapes, tiny_clip, tmp_path / "run", "--train.steps", "2", *BARE)
    poison(monkeypatch, lambda step: step >= 20)
    more = ["--train.lr", lr, "--train.steps", "30", *BARE]
    with pytest.raises(NonFiniteLossError, match=r"before the loss rose: \S*/step-000002;"):
        train(configs, shapes, tiny_clip, tmp_path / "run", *more)
    newest, *_, oldest = checkpoint.steps_of(tmp_path / "run" / "checkpoints")
    assert newest > 4
    assert oldest == 2


def test_ema_has_the_warm_up_form():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema, want = EMA(model, decay=0.5), 0.0
    for n in range(12):
        torch.nn.init.constant_(model.weight, n + 1.0)
        ema.update()
        decay = min(0.5, (1 + n) / (10 + n))
        want = decay * want + (1 - decay) * (n + 1.0)
        assert ema.averages["weight"].item() == pytest.approx(want, rel=1e-5)


def test_ema_gives_the_weights_back_to_the_bit_even_after_an_error():
    model = torch.nn.Linear(3, 3)
    ema = EMA(model, decay=0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    own = model.weight.detach().clone()
    with pytest.raises(RuntimeError), ema.applied():
        assert torch.equal(model.weight, ema.averages["weight"])
        raise RuntimeError
    assert torch.equal(model.weight, own)


def test_norms_biases_and_scales_are_exempt_from_weight_decay():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    model.register_parameter("scale", torch.nn.Parameter(torch.zeros(())))
    decayed, exempt = build_optimizer(model, OptimizerConfig(weight_decay=0.2)).param_groups
    assert decayed["weight_decay"] == 0.2
    assert [p.ndim for p in decayed["params"]] == [2]
    assert exempt["weight_decay"] == 0.0
    assert sorted(p.ndim for p in exempt["params"]) == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("schedule", "want"),
    [("constant", (1, 1, 1)), ("cosine", (1, 0.5, 0)), ("linear_tail", (1, 1, 0))],
)
def test_learning_rate_schedules(schedule, want):
    config = OptimizerConfig(schedule=schedule, warmup_steps=0, tail=0.5)
    got = [lr_factor(config, 1000, progress) for progress in (0, 0.5, 1)]
    assert got == pytest.approx(want)


def test_warm_up_is_linear_in_optimizer_steps():
    config = OptimizerConfig(warmup_steps=4)
    got = [lr_factor(config, step, 0) for step in range(6)]
    assert got == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def factors(config: OptimizerConfig, steps: int) -> list[float]:
    return [lr_factor(config, step, step / steps) for step in range(steps)]


@pytest.mark.parametrize("warmup_steps", [0, 20, 2000, 100_000])
@pytest.mark.parametrize("tail", [0.4, 0.9])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear_tail"])
def test_every_run_reaches_its_learning_rate(schedule, tail, warmup_steps):
    """Cosine over 4,000 steps with a warm-up of 2,000 once got to 0.52 of it."""
    config = OptimizerConfig(schedule=schedule, warmup_steps=warmup_steps, tail=tail)
    got = factors(config, 4000)
    peak = max(got)
    assert peak == pytest.approx(1, abs=1e-3)
    assert got[: got.index(peak)] == sorted(got[: got.index(peak)])
    assert got[got.index(peak) :] == sorted(got[got.index(peak) :], reverse=True)
    if schedule != "constant":
        assert got[-1] < 0.01


def test_cosine_falls_from_the_end_of_the_warm_up():
    config = OptimizerConfig(schedule="cosine", warmup_steps=1000)
    got = [lr_factor(config, step, step / 4000) for step in (1000, 2500, 4000)]
    assert got == pytest.approx([1, 0.5, 0])


def test_a_run_that_ends_by_the_clock_falls_from_the_end_of_its_warm_up():
    """20 of at most 300 steps took a quarter of the minutes."""
    config = OptimizerConfig(schedule="cosine", warmup_steps=20)
    got = [lr_factor(config, *at) for at in ((9, 0.12), (20, 0.25), (50, 0.625), (80, 1.0))]
    assert got == pytest.approx([10 / 21, 1, 0.5, 0])


@pytest.mark.parametrize(
    ("kind", "betas", "eps"), [("vit", (0.9, 0.98), 1e-6), ("resnet", (0.9, 0.999), 1e-8)]
)
def test_clip_hyperparameters_follow_the_tower(kind, betas, eps):
    config = ClipTrainConfig().for_tower(kind)
    assert (config.betas, config.eps, config.weight_decay) == (betas, eps, 0.2)
    assert build(ClipTrainConfig, [("f", {"eps": 1e-7})]).for_tower(kind).eps == 1e-7


def test_progress_follows_whichever_ends_first(monkeypatch):
    monkeypatch.setattr("textdiff.training.progress.time.monotonic", lambda: 100.0)
    by_step = Progress(step=50)
    assert by_step.share(TrainConfig(steps=100)) == 0.5
    by_time = Progress(step=1, seconds=40, started=95.0)
    assert by_time.share(TrainConfig(steps=100, max_minutes=1)) == pytest.approx(0.75)
