"""TextToImage: which weights it loads, how often it calls the network, that folders can travel."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from textdiff import TextToImage
from textdiff.checkpoint import checkpoints, load_tensors
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, UsageError
from textdiff.models import UNet
from textdiff.pipeline.config import SamplingConfig

PROMPTS = ["red circle", "green cross"]
FAST = {"num_steps": 3, "seed": 1}


def drawn(pipe: TextToImage, prompts=PROMPTS, **settings) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pipe(prompts, **{**FAST, **settings})])


# Loading


def same_weights(pipe: TextToImage, file: Path) -> bool:
    tensors, own = load_tensors(file), pipe.unet.state_dict()
    return tensors.keys() == own.keys() and all(torch.equal(own[k], tensors[k]) for k in own)


def test_run_folder_gives_the_averages_of_its_newest_checkpoint(pipe, tiny_run):
    newest = next(checkpoints(tiny_run / "checkpoints"))
    assert pipe.step == 6
    assert same_weights(pipe, newest / "ema.safetensors")
    assert not same_weights(pipe, newest / "unet.safetensors")


def test_damaged_newest_checkpoint_gives_the_one_before(run_copy, caplog):
    newest, older = checkpoints(run_copy / "checkpoints")
    (newest / "state.json").write_text("{}")
    pipe = TextToImage.load(run_copy)
    assert pipe.step == 4
    assert same_weights(pipe, older / "ema.safetensors")
    assert str(newest) in caplog.text


def test_an_earlier_checkpoint_of_a_run(tiny_run):
    newest, older = checkpoints(tiny_run / "checkpoints")
    assert same_weights(TextToImage.load(tiny_run, step=4), older / "ema.safetensors")
    assert same_weights(TextToImage.load(tiny_run, step=6), newest / "ema.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint of step 2; it keeps steps 6, 4"):
        TextToImage.load(tiny_run, step=2)


def test_the_checkpoint_that_is_asked_for_is_not_replaced_by_another(run_copy):
    newest, _ = checkpoints(run_copy / "checkpoints")
    (newest / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is damaged"):
        TextToImage.load(run_copy, step=6)


@pytest.mark.slow
def test_run_without_averages_gives_its_weights(tmp_path, configs, shapes, tiny_clip):
    flags = ["--config", str(configs / "unet.yaml"), "--data.source", str(shapes)]
    flags += ["--ema-decay", "none", "--train.steps", "1", "--preview.num-prompts", "0"]
    run(["train", *flags, "--clip", str(tiny_clip), "--run-dir", str(tmp_path / "run")])
    newest = next(checkpoints(tmp_path / "run" / "checkpoints"))
    assert same_weights(TextToImage.load(tmp_path / "run"), newest / "unet.safetensors")


def test_networks_are_frozen_and_in_eval_mode(pipe):
    for network in (pipe.unet, pipe.clip):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.slow
def test_run_folder_travels_without_the_clip_it_came_from(tmp_path, configs, shapes, tiny_clip):
    clip = shutil.copytree(tiny_clip, tmp_path / "clip")
    flags = ["--config", str(configs / "unet.yaml"), "--data.source", str(shapes)]
    run(["train", *flags, "--clip", str(clip), "--run-dir", str(tmp_path / "run")])
    expected = drawn(TextToImage.load(tmp_path / "run"))
    shutil.rmtree(clip)
    moved = shutil.move(tmp_path / "run", tmp_path / "moved")
    assert np.array_equal(drawn(TextToImage.load(moved)), expected)


def test_exported_folder_gives_the_same_pictures(pipe, tmp_path):
    pipe.save(tmp_path / "exported")
    again = TextToImage.load(tmp_path / "exported")
    assert again.step is None
    assert np.array_equal(drawn(again), drawn(pipe))


def test_exported_folder_holds_no_training_state(pipe, tmp_path):
    pipe.save(tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    clip = {f"clip/{name}" for name in ("open_clip_config.json", "open_clip_model.safetensors")}
    assert files == {"model.yaml", "unet.safetensors", "manifest.json", "clip/manifest.json"} | clip


def test_exported_weights_that_are_damaged(pipe, tmp_path):
    pipe.save(tmp_path)
    (tmp_path / "unet.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"unet\.safetensors differs from what"):
        TextToImage.load(tmp_path)


# Drawing


@pytest.mark.parametrize(("scale", "rows"), [(1.0, 2), (3.0, 4), (0.0, 4)])
def test_network_is_called_once_per_step_with_both_halves_only_if_guided(pipe, scale, rows):
    calls = []
    pipe.unet.register_forward_hook(lambda _unet, _inputs, output: calls.append(len(output)))
    drawn(pipe, guidance_scale=scale)
    assert calls == [rows] * 3


def test_timesteps_go_down_to_the_least_noisy(pipe):
    seen = []
    pipe.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[1].unique()))
    drawn(pipe, num_steps=4)
    assert torch.cat(seen).tolist() == [99, 74, 49, 24]


def test_listed_timesteps_are_visited_as_they_are(pipe):
    seen = []
    pipe.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[1].unique()))
    drawn(pipe, timesteps=[99, 30, 2])
    assert torch.cat(seen).tolist() == [99, 30, 2]


def test_guidance_interval_skips_the_second_pass_outside(pipe):
    calls = []
    pipe.unet.register_forward_hook(lambda _unet, _inputs, output: calls.append(len(output)))
    drawn(pipe, num_steps=4, guidance_interval=[24, 74])
    assert calls == [2, 4, 4, 4]  # timesteps 99, 74, 49, 24


def test_guidance_interval_of_all_timesteps_changes_nothing(pipe):
    assert np.array_equal(drawn(pipe, guidance_interval=[0, 99]), drawn(pipe))


def far(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in grey levels."""
    return np.abs(one.astype(int) - other.astype(int)).mean()


@pytest.fixture(scope="module")
def exact(tiny_run) -> np.ndarray:
    """Where deterministic samplers come to: DDIM in all steps."""
    return drawn(TextToImage.load(tiny_run), num_steps=100)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp", "unipc"])
def test_deterministic_samplers_come_nearer_to_one_picture_with_more_steps(pipe, exact, sampler):
    errors = [far(drawn(pipe, sampler=sampler, num_steps=steps), exact) for steps in (3, 30)]
    assert 0 < errors[1] < errors[0] < 1


@pytest.mark.slow
@pytest.mark.parametrize("spacing", ["karras", "log_snr"])
def test_spacings_come_nearer_to_one_picture_with_more_steps(pipe, exact, spacing):
    errors = [far(drawn(pipe, spacing=spacing, num_steps=steps), exact) for steps in (5, 30)]
    assert 0 < errors[1] < errors[0] < 1


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp_sde"])
def test_samplers_that_draw_noise_leave_that_picture(pipe, exact, sampler):
    found = drawn(pipe, sampler=sampler)
    assert found.std() > 10
    assert far(found, exact) > 50


def test_ddim_with_full_eta_is_ddpm(pipe):
    assert np.array_equal(drawn(pipe, eta=1.0), drawn(pipe, sampler="ddpm"))


def test_the_larger_variance_leaves_more_noise(pipe):
    small, large = (
        drawn(pipe, sampler="ddpm", variance=f"fixed_{size}").astype(int)
        for size in ("small", "large")
    )
    noise = [np.abs(np.diff(pictures, axis=1)).mean() for pictures in (small, large)]
    assert noise[0] < noise[1]


def test_rescaled_guidance_has_a_deviation_nearer_to_the_conditional_one(pipe):
    """By the share that is rescaled. Of the first prediction: where there is hardly any signal, x_0
    is v but for a factor, and no clamp has cut anything off."""

    def deviation(**settings) -> torch.Tensor:
        config = SamplingConfig(**FAST, threshold="none", **settings)
        first = next(iter(pipe.steps(pipe.plan(PROMPTS, config))))
        return first.x_0_hat.std(dim=(1, 2, 3))

    conditional = deviation(guidance_scale=1.0)
    plain, rescaled = (
        (deviation(guidance_scale=30.0, guidance_rescale=share) - conditional).abs()
        for share in (0.0, 0.7)
    )
    assert (plain > 0.1).all()
    torch.testing.assert_close(rescaled, 0.3 * plain, rtol=0.01, atol=0)


def test_thresholds_saturate_less(pipe):
    """Most where there is none, least where the range is stretched to what is there."""
    shares = []
    for threshold in ("none", "static", "dynamic"):
        pictures = drawn(pipe, threshold=threshold, guidance_scale=9.0)
        shares.append(((pictures == 0) | (pictures == 255)).mean())
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 3


@pytest.fixture
def learned(pipe) -> TextToImage:
    """The tiny model with a learned variance, untrained."""
    config = pipe.config.unet.model_copy(update={"learned_variance": True})
    torch.manual_seed(0)
    unet = UNet(config)
    torch.nn.init.normal_(unet.conv_out.weight, std=0.2)
    model = pipe.config.model_copy(update={"unet": config})
    return TextToImage(unet, pipe.clip, model).freeze()


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_learned_variance_is_used_if_there(learned, guidance_scale):
    usual = {"sampler": "ddpm", "guidance_scale": guidance_scale}
    found = drawn(learned, **usual)
    assert np.array_equal(found, drawn(learned, **usual, variance="learned"))
    assert not np.array_equal(found, drawn(learned, **usual, variance="fixed_small"))


def test_guidance_of_one_is_the_conditional_model_alone(pipe):
    """Whatever is pushed away from does not matter then."""
    plain = drawn(pipe, guidance_scale=1.0)
    assert np.array_equal(drawn(pipe, guidance_scale=1.0, negative_prompt="green"), plain)
    assert np.abs(drawn(pipe, guidance_scale=1.0 + 1e-6).astype(int) - plain).max() <= 1


def test_guidance_of_zero_is_the_model_of_the_negative_prompt(pipe):
    found = drawn(pipe, guidance_scale=0.0, negative_prompt="green cross").astype(int)
    expected = drawn(pipe, ["green cross"] * 2, guidance_scale=1.0)
    assert np.abs(found - expected).max() <= 1


def test_several_pictures_of_a_prompt_stand_side_by_side(pipe):
    found = drawn(pipe, num_images=2)
    written_out = drawn(pipe, [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2)
    assert np.array_equal(found, written_out)


def test_one_prompt_and_the_empty_one(pipe):
    assert drawn(pipe, "red circle").shape == (1, 16, 16, 3)
    assert drawn(pipe, "").shape == (1, 16, 16, 3)


def test_steps_count_up_over_batches(pipe):
    config = SamplingConfig(num_steps=3, batch_size=2)
    plan = pipe.plan(["red"] * 3, config)
    steps = [(step.done, step.index, len(step.x_t)) for step in pipe.steps(plan)]
    assert steps == [(1, 2, 2), (2, 1, 2), (3, 0, 2), (4, 2, 1), (5, 1, 1), (6, 0, 1)]
    assert plan.num_steps == 6


def test_later_part_of_a_job_is_drawn_as_in_one_go(pipe):
    config = SamplingConfig(num_steps=2, sampler="ddpm")
    whole = pipe.draw(pipe.plan(["red"] * 4, config))
    rest = pipe.draw(pipe.plan(["red"] * 2, config, first=2))
    assert (rest.int() - whole[2:].int()).abs().max() <= 1


def test_previews_come_closer_to_the_picture(pipe):
    """x_0_hat is shown while x_t is noise; the last one is the picture."""
    plan = pipe.plan(PROMPTS, SamplingConfig(num_steps=20))
    final = pipe.draw(plan).int()
    steps = list(pipe.steps(plan))
    errors = [
        (pipe.codec.preview(step.x_0_hat).int() - final).square().float().mean().item()
        for step in steps
    ]
    assert errors[0] > 4 * errors[-5] > errors[-1] == 0
    assert all(step.x_t.shape == step.x_0_hat.shape for step in steps)


def test_one_prompt_and_the_usual_settings_need_not_be_wrapped(pipe):
    plan = pipe.plan("red circle")
    assert plan.prompts == ("red circle",)
    assert plan.config == SamplingConfig()


def test_no_prompt_draws_no_picture(pipe):
    assert pipe.draw(pipe.plan([], SamplingConfig())).shape == (0, 3, 16, 16)


def test_drawing_leaves_the_global_generator_alone(pipe):
    before = torch.get_rng_state()
    drawn(pipe, sampler="ddpm")
    assert torch.equal(torch.get_rng_state(), before)


def test_long_prompt_is_cut_as_in_training_with_a_warning(pipe, caplog):
    cut = drawn(pipe, ["red", "one " * 20])
    assert np.array_equal(cut[1], drawn(pipe, ["red", "one " * 10])[1])
    assert caplog.messages == [
        "1 of 3 prompts cut to the 12 tokens of the text tower, the first "
        f"'{('one ' * 20)[:60]}...'; strict refuses them"
    ]


def test_prompt_that_is_no_text_is_refused(pipe):
    with pytest.raises(UsageError, match="is not UTF-8"):
        drawn(pipe, ["caf\udce9"])


def test_strict_refuses_a_long_prompt_before_anything_is_drawn(pipe):
    calls = []
    pipe.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    long = "one " * 20
    short_but_longer_in_letters = "internationalization " * 5
    with pytest.raises(UsageError, match="prompt too long: 'one one"):
        drawn(pipe, ["red", short_but_longer_in_letters, long], batch_size=1, strict=True)
    assert calls == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"guidance_scal": 2}, "unknown key 'guidance_scal'; did you mean 'guidance_scale'?"),
        ({"sampler": "euler"}, "Input should be 'ddim', 'ddpm', 'dpmpp', 'dpmpp_sde' or 'unipc'"),
        ({"num_steps": 101}, "num_steps must lie in 1..100"),
        ({"timesteps": [100, 50]}, "timesteps[0] = 100 is none of the schedule's 0..99"),
        ({"timesteps": [9, -1]}, "timesteps[1] = -1 is none of the schedule's 0..99"),
        ({"timesteps": [80, 20, 50]}, "timesteps[2] = 50 is not below timesteps[1] = 20"),
        ({"timesteps": [80, 80]}, "timesteps[1] = 80 is not below timesteps[0] = 80"),
        ({"guidance_interval": [60, 30]}, "guidance_interval 60 30 is empty; give the lower end"),
        ({"variance": "learned"}, "the model has no learned variance; use fixed_small"),
        ({"strength": 0.5}, "strength without an init image"),
        (
            {"negative_prompt": "word " * 40, "strict": True},
            "does not fit the 12 tokens of the text tower; shorte",
        ),
    ],
)
def test_impossible_settings(pipe, settings, expected):
    with pytest.raises(UsageError) as caught:
        pipe("red", **settings)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "dpmpp", "eta": 0.5}, r"eta 0.5 has no effect with sampler dpmpp; .* ddim"),
        ({"variance": "fixed_large"}, r"variance fixed_large has no effect .* use sampler ddpm"),
        ({"threshold_percentile": 0.9}, r"no effect with threshold auto; .* threshold dynamic"),
        ({"guidance_interval": (100, 200)}, r"100 200 meets none of .* timesteps 0\.\.99"),
    ],
)
def test_settings_without_effect_are_refused(pipe, settings, message):
    with pytest.raises(UsageError, match=message):
        pipe("red circle", num_steps=2, **settings)
