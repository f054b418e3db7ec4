"""What sampling computes once, keeps or rounds: pictures, rows that layers see, no leaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tests.helpers.recording import rerun
from tests.helpers.unets import Rows, remade
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.commands.cli import main
from textdiff.cuda_graphs import Graphs
from textdiff.errors import UsageError
from textdiff.models import UNet
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.network import TextNetwork, rounded
from textdiff.sampling import ImageNoise
from textdiff.types import Conditioning

PROMPTS = ["red circle", "green cross", "red circle"]


def drawn(pipe: TextToImage, prompts=PROMPTS, **settings) -> np.ndarray:
    pictures = pipe(prompts, **{"num_steps": 6, "seed": 1, **settings})
    return np.stack([np.asarray(picture) for picture in pictures]).astype(int)


def likeness(clip: ClipModel, pictures: np.ndarray) -> float:
    """Of pictures to PROMPTS, as `clip` sees them: a mean."""
    images = torch.as_tensor(pictures, dtype=torch.uint8).permute(0, 3, 1, 2)
    found, wanted = clip.encode_image(images), clip.encode_text(PROMPTS).projected
    return float(torch.cosine_similarity(found, wanted).mean())


@pytest.fixture
def unpooled(pipe) -> TextToImage:
    """Text enters at the second level alone, so that the first sees guidance's halves once."""
    return remade(pipe, pooled_dim=None)


@pytest.fixture
def binary(pipe) -> TextToImage:
    return remade(pipe, process="binary", in_channels=1, pooled_dim=None)


@pytest.fixture(params=["pooled", "unpooled"])
def either(request, pipe) -> TextToImage:
    return pipe if request.param == "pooled" else remade(pipe, pooled_dim=None)


def final(pipe: TextToImage, config: SamplingConfig, bound: bool) -> torch.Tensor:
    """Pictures (B, C, H, W) before they are rounded, text bound beforehand or projected anew at
    every step."""
    plan = pipe.plan(PROMPTS, config)
    if bound:
        *_, last = pipe.steps(plan)
        return last.x_t
    conditioning = pipe.clip.conditioning([*PROMPTS, config.negative_prompt])
    cond, negative = conditioning[:-1], conditioning[-1:].repeat(len(PROMPTS))
    noise = ImageNoise(plan.seeds(slice(0, len(PROMPTS))), pipe.codec.shape)
    network = ProjectedAnew(pipe.unet, cond, Conditioning.cat([cond, negative]))
    *_, last = pipe.process.draw(network, plan, noise, pipe.codec)
    return last.x_t


@dataclass
class ProjectedAnew:
    """As `TextNetwork`, with nothing computed beforehand and both halves in full."""

    unet: UNet
    cond: Conditioning
    both: Conditioning

    def __call__(self, x_t, timestep):
        return self.unet(x_t, timestep, self.cond)

    def pair(self, x_t, timestep):
        return self.unet(x_t.repeat(2, 1, 1, 1), timestep.repeat(2), self.both).chunk(2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sampler": "unipc", "guidance_interval": (20, 70)},
        {"sampler": "ddpm", "negative_prompt": "blue square"},
        {"guidance_scale": 1.0},
    ],
)
def test_pictures_are_those_of_text_projected_at_every_step(either, settings):
    """Within 1e-4 of a range of 2 in fp32, where a grey level is 8e-3."""
    config = SamplingConfig(num_steps=6, **settings)
    expected = final(either, config, bound=False)
    torch.testing.assert_close(final(either, config, bound=True), expected, rtol=0, atol=1e-4)
    pictures = drawn(either, num_steps=6, seed=0, **settings)
    rounded = either.codec.decode(expected).permute(0, 2, 3, 1).numpy().astype(int)
    assert np.abs(pictures - rounded).max() <= 1


def test_each_distinct_text_is_projected_once_per_batch(unpooled):
    keys = Rows(unpooled.unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k)
    drawn(unpooled, batch_size=2)
    assert keys.seen == [3, 2]  # red circle, green cross and ""; then red circle and ""


def test_timesteps_are_embedded_once_per_batch(unpooled):
    embedded = Rows(unpooled.unet.time_embedding)
    drawn(unpooled, guidance_interval=(20, 70))
    assert embedded.seen == [6]


def test_first_level_sees_the_halves_of_guidance_once(unpooled):
    first, second = Rows(unpooled.unet.conv_in), Rows(unpooled.unet.mid_block)
    drawn(unpooled, num_steps=4, guidance_interval=(24, 74))
    assert (first.seen, second.seen) == ([3, 3, 3, 3], [3, 6, 6, 6])


def test_clip_guides_back_through_a_bound_network(either):
    settings = {"clip_guidance_scale": 5.0, "guidance_scale": 2.0, "num_steps": 3}
    found = drawn(either, **settings)
    plain = drawn(either, num_steps=3, guidance_scale=2.0)
    assert likeness(either.clip, found) > likeness(either.clip, plain)
    alone = np.concatenate([drawn(either, PROMPTS[:1], **settings)])
    assert np.abs(found[:1] - alone).max() <= 1


# Large jobs


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"deep_cache_every": 2}, {"sampler": "dpmpp_sde"}])
def test_a_large_job_is_split_and_each_picture_stays_the_same(either, settings):
    rows = Rows(either.unet.mid_block)
    split = drawn(either, "red circle", num_images=5, batch_size=2, guidance_scale=1.0, **settings)
    assert max(rows.seen) == 2
    for size in (1, 5):
        other = drawn(
            either, "red circle", num_images=5, batch_size=size, guidance_scale=1.0, **settings
        )
        assert np.abs(split - other).max() <= 1, size


# Deeper levels, kept for some steps


def test_deep_cache_counts_of_levels_run(unpooled):
    shallow, deep = Rows(unpooled.unet.up_blocks[-1]), Rows(unpooled.unet.mid_block)
    drawn(unpooled, deep_cache_every=3, num_steps=7)
    assert (shallow.seen, deep.seen) == ([6] * 7, [6] * 3)


def test_deep_cache_starts_anew_at_the_ends_of_the_guidance_interval(unpooled):
    """Timesteps 99 82 66 49 32 16: two without guidance, two with, two without."""
    shallow, deep = Rows(unpooled.unet.up_blocks[-1]), Rows(unpooled.unet.mid_block)
    drawn(unpooled, deep_cache_every=4, guidance_interval=(40, 70))
    assert (shallow.seen, deep.seen) == ([3, 3, 6, 6, 3, 3], [3, 6, 3])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"guidance_interval": (40, 70)}])
def test_deep_cache_leaks_into_no_other_batch_or_call(either, settings):
    """The second call's steps would pass for successors of the last full one of the first."""
    settings = {"prompts": [*PROMPTS, "blue square"], "deep_cache_every": 3, **settings}
    few = drawn(either, batch_size=2, num_steps=2, **settings)
    split = drawn(either, batch_size=2, **settings)
    assert np.array_equal(drawn(either, batch_size=2, num_steps=2, **settings), few)
    assert np.abs(split - drawn(either, **settings)).max() <= 1
    assert np.array_equal(drawn(either, deep_cache_every=1), drawn(either))


@pytest.mark.slow
def test_error_of_the_deep_cache_is_bounded_and_falls_with_the_steps(unpooled):
    """Steps close to each other differ little, so what was kept is nearly right."""

    def error(num_steps: int) -> float:
        usual = {"num_steps": num_steps, "guidance_scale": 1.0}
        rough = drawn(unpooled, deep_cache_every=2, **usual)
        return float(np.square(rough - drawn(unpooled, **usual)).mean() ** 0.5)

    few, many = error(10), error(100)
    assert 20 > few > 2 * many > 0


def test_deep_cache_needs_a_deeper_level(pipe):
    flat = remade(pipe, block_channels=(16,), attention=(True,), layers_per_block=1)
    with pytest.raises(UsageError, match="deep_cache_every 2: this U-Net has one level"):
        drawn(flat, deep_cache_every=2)


def test_command_refuses_a_deep_cache_of_one_level(pipe, tmp_path, capsys):
    remade(pipe, block_channels=(16,), attention=(True,), layers_per_block=1).save(tmp_path)
    flags = ["--prompt", "red circle", "--deep-cache-every", "2", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["sample", "--model", str(tmp_path), *flags])
    assert ended.value.code == 2
    assert "one level" in capsys.readouterr().err


# Precision


def test_bf16_comes_close_and_leaves_the_model_as_it_is(either):
    exact, rough = drawn(either), drawn(either, precision="bf16")
    difference = np.square(rough - exact).mean() ** 0.5
    assert 0 < difference < 5
    assert {tensor.dtype for tensor in either.unet.state_dict().values()} == {torch.float32}
    assert np.array_equal(drawn(either), exact)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_bf16_pictures_hardly_depend_on_the_batch(either, size):
    """Sums in another order round otherwise: RMSE below 1 grey level."""
    together = drawn(either, precision="bf16")
    apart = drawn(either, precision="bf16", batch_size=size)
    assert np.square(apart - together).mean() ** 0.5 < 1


def copies_made(monkeypatch) -> list[UNet]:
    made = []
    monkeypatch.setattr(
        "textdiff.pipeline.network.rounded", lambda unet: made.append(unet) or rounded(unet)
    )
    return made


def test_one_bf16_copy_serves_all_calls(unpooled, monkeypatch):
    made = copies_made(monkeypatch)
    first = drawn(unpooled, precision="bf16")
    assert np.array_equal(drawn(unpooled, precision="bf16"), first)
    drawn(unpooled)
    assert len(made) == 1


def other_weights(unet: UNet) -> dict[str, torch.Tensor]:
    return {name: 0.5 * weight for name, weight in unet.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda pipe: pipe.unet.load_state_dict(other_weights(pipe.unet)),
        lambda pipe: pipe.unet.load_state_dict(other_weights(pipe.unet), assign=True),
        lambda pipe: pipe.unet.conv_in.weight.mul_(0.5),
        lambda pipe: setattr(pipe.unet.conv_in.weight, "data", 0.5 * pipe.unet.conv_in.weight.data),
        lambda pipe: setattr(pipe, "unet", remade(pipe, layers_per_block=2).unet),
    ],
    ids=["loaded", "assigned", "in place", "data", "another U-Net"],
)
def test_the_bf16_copy_is_dropped_when_weights_change(unpooled, change):
    before = drawn(unpooled, precision="bf16")
    change(unpooled)
    found = drawn(unpooled, precision="bf16")
    fresh = TextToImage(unpooled.unet, unpooled.clip, unpooled.config).freeze()
    assert np.array_equal(found, drawn(fresh, precision="bf16"))
    assert not np.array_equal(found, before)


def test_the_bf16_copy_is_dropped_when_the_model_moves(unpooled, monkeypatch):
    made = copies_made(monkeypatch)
    drawn(unpooled, precision="bf16")
    drawn(unpooled.to("cpu"), precision="bf16")
    assert len(made) == 2


def test_sampler_and_schedule_stay_in_fp32(unpooled):
    config = SamplingConfig(num_steps=2)
    plan, rough = unpooled.plan(PROMPTS, config), rounded(unpooled.unet)
    network = TextNetwork.bind(rough, unpooled.conditioning, PROMPTS, "", plan.grid)
    noise = ImageNoise(plan.seeds(slice(0, len(PROMPTS))), unpooled.codec.shape)
    assert rough.conv_in.weight.dtype == torch.bfloat16
    for step in unpooled.process.draw(network, plan, noise, unpooled.codec):
        assert (step.x_t.dtype, step.x_0_hat.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("pays", [True, False])
def test_auto_is_bf16_where_it_pays(unpooled, monkeypatch, pays):
    monkeypatch.setattr("textdiff.pipeline.checks.bf16_pays", lambda device: pays)
    expected = drawn(unpooled, precision="bf16" if pays else "no")
    assert np.array_equal(drawn(unpooled, precision="auto"), expected)


def test_precision_of_another_name_is_refused(unpooled):
    with pytest.raises(UsageError, match="'no', 'bf16' or 'auto'"):
        drawn(unpooled, precision="fp8")


# Flips of black and white


def test_binary_deep_cache_counts_of_levels_run(binary):
    shallow, deep = Rows(binary.unet.up_blocks[-1]), Rows(binary.unet.mid_block)
    drawn(binary, deep_cache_every=3, num_steps=7)
    assert (shallow.seen, deep.seen) == ([6] * 7, [6] * 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rougher", "dtype"),
    [({"precision": "bf16"}, torch.bfloat16), ({"deep_cache_every": 2}, torch.float32)],
    ids=["bf16", "deep cache"],
)
def test_few_binary_pixels_turn_over_when_the_unet_is_rough(binary, rougher, dtype):
    exact, seen = drawn(binary, num_steps=20), set()
    binary.unet.conv_in.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].dtype))
    found = drawn(binary, num_steps=20, **rougher)
    assert seen == {dtype}
    assert np.mean(found != exact) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "recordings"),
    [
        ({"guidance_scale": 2.5}, 1),
        ({"guidance_scale": 1.0}, 1),
        ({"guidance_scale": 2.5, "guidance_interval": (0, 50)}, 2),  # both texts, prompts alone
        ({"guidance_scale": 2.5, "batch_size": 2}, 2),  # the last batch has one picture
        ({"guidance_scale": 2.5, "deep_cache_every": 2}, 0),
        ({"guidance_scale": 1.0, "clip_guidance_scale": 1.0}, 0),  # back through the U-Net
    ],
)
def test_pictures_are_the_same_where_steps_are_played_back(either, settings, recordings):
    usual = drawn(either, **settings)
    either.graphs = Graphs(plain_calls=0, record=rerun)
    np.testing.assert_array_equal(drawn(either, **settings), usual)
    np.testing.assert_array_equal(drawn(either, PROMPTS[::-1], **settings)[1], usual[1])
    assert len(either.graphs) == recordings


def test_steps_are_played_back_by_default_but_not_for_three_of_them(pipe):
    pipe.graphs = Graphs(record=rerun)
    drawn(pipe, num_steps=3)
    assert len(pipe.graphs) == 0
    drawn(pipe, num_steps=3, graphs=False)
    assert len(pipe.graphs) == 0
    usual = drawn(pipe, num_steps=3)  # the fourth step of its kind is the first of this one
    assert len(pipe.graphs) == 1
    pipe.graphs = None
    np.testing.assert_array_equal(drawn(pipe, num_steps=3), usual)


def test_a_recording_does_not_outlive_weights_that_moved(pipe):
    recorded = []

    def noted(function, inputs):
        recorded.append(function)
        return rerun(function, inputs)

    pipe.graphs = Graphs(plain_calls=0, record=noted)
    for halved in (False, False, True):
        for weight in pipe.unet.parameters() if halved else ():
            weight.data = weight.data * 0.5
        found = drawn(pipe)
    assert len(recorded) == 2
    np.testing.assert_array_equal(found, drawn(pipe, graphs=False))


def test_a_failed_recording_leaves_the_pictures_as_they_are(pipe, caplog):
    def refused(function, inputs):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    usual = drawn(pipe, graphs=False)
    pipe.graphs = Graphs(record=refused)
    for _ in range(2):
        np.testing.assert_array_equal(drawn(pipe), usual)
    (record,) = caplog.records
    assert "--graphs false" in record.getMessage()
