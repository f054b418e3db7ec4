"""Guidance by CLIP as `TextToImage` offers it: what it changes, what it costs, what it refuses."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.helpers.recording import rerun
from tests.helpers.unets import Rows
from textdiff import TextToImage
from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig
from textdiff.cuda_graphs import Graphs
from textdiff.errors import CheckpointError, UsageError
from textdiff.pictures import to_float
from textdiff.pipeline.clip_guide import guided_timesteps
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.gaussian import SAMPLERS
from textdiff.pipeline.sections import ClipGuidanceConfig

PROMPTS = ["red circle", "green cross"]
SCHEDULE = {"name": "cosine", "num_timesteps": 100}


def save_noised(clip_folder, folder, image_size=16, schedule=None):
    """A noised CLIP of tiny_clip, its timestep layers random."""
    config = NoisedClipConfig(image_size=image_size, schedule=schedule or SCHEDULE)
    noised = NoisedClip(ClipModel.load(clip_folder), config)
    torch.manual_seed(0)
    for parameter in noised.time.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    noised.save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def noised(tiny_clip, tmp_path_factory) -> str:
    return save_noised(tiny_clip, tmp_path_factory.mktemp("noised"))


@pytest.fixture
def draw(pipe, noised):
    """Two pictures in three steps, guided by the noised CLIP unless settings say otherwise."""

    def drawn(prompts=PROMPTS, **settings) -> np.ndarray:
        usual = {"num_steps": 3, "seed": 1, "clip_guide": noised, "clip_guidance_scale": 5.0}
        return np.stack([np.asarray(p) for p in pipe(prompts, **{**usual, **settings})]).astype(int)

    return drawn


@pytest.fixture
def calls(pipe, noised):
    """(batch size, timestep) of each time the noised CLIP looks at pictures."""
    config = SamplingConfig(clip_guide=noised, clip_guidance_scale=1.0)
    seen, clip = [], pipe.guide(config)
    encode = clip.encode_image

    def watched(x_t, timestep):
        seen.append((len(x_t), int(timestep[0])))
        return encode(x_t, timestep)

    clip.encode_image = watched
    return seen


def similarity(clip: ClipModel, pictures: np.ndarray, prompts: list[str]) -> float:
    images = torch.as_tensor(pictures, dtype=torch.uint8).permute(0, 3, 1, 2)
    found, wanted = clip.encode_image(images), clip.encode_text(prompts).projected
    return float(F.cosine_similarity(found, wanted).mean())


@pytest.fixture
def liking(noised):
    """How similar the noised CLIP finds drawn pictures, without noise, to prompts: a mean."""
    clip = NoisedClip.load(noised).freeze()

    def mean(pictures: np.ndarray, prompts: list[str] = PROMPTS) -> float:
        x_0 = to_float(torch.as_tensor(pictures, dtype=torch.uint8).permute(0, 3, 1, 2))
        images = clip.encode_image(x_0, torch.zeros(len(x_0), dtype=torch.int64))
        texts = clip.clip.encode_text(prompts).projected
        return float(F.cosine_similarity(images, texts).mean())

    return mean


# what it does


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_guided(draw, liking, sampler):
    guided, plain = (draw(sampler=sampler, clip_guidance_scale=scale) for scale in (5.0, 0.0))
    assert liking(guided) > liking(plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"clip_through_unet": True},
        {"clip_through_unet": False},
        {"clip_cutouts": 4},
        {"guidance_scale": 1.0},
        {"sampler": "ddpm", "num_steps": 20},
    ],
    ids=str,
)
def test_the_clip_that_guides_likes_the_picture_better(pipe, draw, settings):
    usual = {"clip_guide": None, "num_steps": 10, **settings}
    guided, plain = (draw(**{**usual, "clip_guidance_scale": scale}) for scale in (1.0, 0.0))
    assert similarity(pipe.clip, guided, PROMPTS) > similarity(pipe.clip, plain, PROMPTS)


def test_pushing_away(pipe, draw):
    usual = {"clip_guide": None, "num_steps": 10, "clip_prompts": ["red circle"]}
    towards, away = (draw(**usual, clip_weights=[weight]) for weight in (1.0, -1.0))
    text = ["red circle"] * 2
    assert similarity(pipe.clip, towards, text) > similarity(pipe.clip, away, text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"clip_guidance_at": "x_0"},
        {"clip_guidance_at": "x_0", "clip_cutouts": 2},
        {"clip_gradient_max": 1e-4},
        {"clip_guidance_interval": [50, 99]},
        {"clip_guidance_every": 2},
        {"threshold": "none"},
    ],
    ids=str,
)
def test_settings_that_guide_less(draw, liking, settings):
    assert liking(draw(clip_guidance_scale=0.0)) < liking(draw(**settings)) < liking(draw())


@pytest.mark.parametrize(
    "settings",
    [
        {"clip_guidance_at": "x_0", "clip_through_unet": False},
        {"clip_normalise": True, "clip_guidance_scale": 0.2},
        {"clip_guidance_scale": 6.0},
    ],
    ids=str,
)
def test_settings_that_guide_more(draw, liking, settings):
    assert liking(draw(**settings)) > liking(draw())


def test_prompts_of_its_own(draw, liking):
    own = draw(clip_prompts=["blue square", "yellow circle"])
    for prompt in ("blue square", "yellow circle"):
        assert liking(own, [prompt] * 2) > liking(draw(), [prompt] * 2)


def test_weights_of_prompts(draw, liking):
    prompts = ["blue square", "yellow circle"]
    even = draw(clip_prompts=prompts)
    assert np.array_equal(draw(clip_prompts=prompts, clip_weights=[1.0, 1.0]), even)

    def lead(pictures: np.ndarray) -> float:
        """Of the first prompt over the second."""
        return liking(pictures, prompts[:1] * 2) - liking(pictures, prompts[1:] * 2)

    assert lead(draw(clip_prompts=prompts, clip_weights=[1.0, 0.2])) > lead(even)


def test_a_prompt_of_weight_one_stands_for_the_prompt(draw):
    assert np.array_equal(draw(clip_prompts=["red circle"])[:1], draw()[:1])


def test_towards_a_picture(pipe, draw, shapes):
    """Each of two pictures draws nearer to itself than the other does, or the prompt."""
    usual = {"clip_guide": None, "num_steps": 10, "clip_through_unet": False}
    with Image.open(shapes / "green-square.png") as picture:
        targets = [torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)]
    targets += [torch.full((3, 30, 20), 255, dtype=torch.uint8)]
    towards, prompted = [draw(**usual, clip_image=target) for target in targets], draw(**usual)

    def features(pictures: torch.Tensor) -> torch.Tensor:
        return pipe.clip.encode_image(pictures)

    def likeness(drawn: np.ndarray, target: torch.Tensor) -> float:
        pictures = torch.as_tensor(drawn, dtype=torch.uint8).permute(0, 3, 1, 2)
        wanted = target[None, :, :16, :16].expand(2, -1, -1, -1)
        return float(F.cosine_similarity(features(pictures), features(wanted)).mean())

    for own, other, target in ((0, 1, targets[0]), (1, 0, targets[1])):
        likenesses = [likeness(drawn, target) for drawn in (towards[other], prompted)]
        assert likeness(towards[own], target) > max(likenesses)


def test_a_model_without_prompt_is_guided(draw, liking):
    usual = {"prompts": ["", ""], "guidance_scale": 1.0}
    guided, plain = (
        draw(**usual, clip_prompts=["red circle"]),
        draw(**usual, clip_guidance_scale=0.0),
    )
    assert liking(guided, ["red circle"] * 2) > liking(plain, ["red circle"] * 2)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
@pytest.mark.parametrize(
    "way", [{}, {"clip_guidance_at": "x_0", "clip_cutouts": 2}], ids=["x_t", "cutouts"]
)
def test_batch_size_changes_no_picture(draw, sampler, way):
    """Sums in another order may round one grey level apart."""
    one, all_at_once = (draw(sampler=sampler, batch_size=size, **way) for size in (1, 2))
    assert np.abs(one - all_at_once).max() <= 1


def test_known_pixels_stay_known(draw, shapes):
    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (8, 0, 16, 16))
    with Image.open(shapes / "green-square.png") as picture:
        found = draw(init_image=picture, mask=mask)
        kept = np.asarray(picture).astype(int)[:, :8]
    assert np.array_equal(found[:, :, :8], np.stack([kept, kept]))


# when, and at what cost


def test_deep_cache_and_bf16_with_guidance_at_x_t(pipe, draw, calls):
    """CLIP sees each step's pictures; the deeper levels see every second one's, both halves."""
    usual = {"num_steps": 4, "clip_guidance_scale": 1.0}
    exact = draw(**usual)
    calls.clear()
    deep = Rows(pipe.unet.mid_block)
    found = draw(**usual, deep_cache_every=2, precision="bf16")
    assert (len(calls), deep.seen) == (4, [4, 4])
    assert 0 < np.square(found - exact).mean() ** 0.5 < 5
    unguided = draw(num_steps=4, clip_guidance_scale=0.0, deep_cache_every=2, precision="bf16")
    assert np.abs(found - exact).mean() < 0.1 * np.abs(found - unguided).mean()


def test_deep_cache_with_a_gradient_that_passes_the_unet_by(draw, liking):
    usual = {"clip_guidance_at": "x_0", "clip_through_unet": False, "deep_cache_every": 2}
    assert liking(draw(**usual)) > liking(draw(**usual, clip_guidance_scale=0.0))


def test_a_noised_clip_looks_once_per_step_at_the_pictures_alone(draw, calls):
    draw(num_steps=4)
    assert calls == [(2, 99), (2, 74), (2, 49), (2, 24)]


def test_interval_and_every_kth_step(draw, calls):
    draw(num_steps=10, clip_guidance_interval=[29, 89], clip_guidance_every=3)
    assert [timestep for _, timestep in calls] == [89, 59, 29]


def test_guided_timesteps_count_from_the_noisiest():
    config = ClipGuidanceConfig(every=2)
    assert guided_timesteps(torch.tensor([1, 4, 7, 9]), config) == {9, 4}


@pytest.mark.parametrize("through_unet", [True, False])
def test_the_unet_runs_once_per_step(pipe, draw, through_unet):
    rows = []
    pipe.unet.register_forward_hook(lambda _unet, _inputs, output: rows.append(len(output)))
    draw(clip_guide=None, clip_through_unet=through_unet)
    assert rows == [4] * 3


def test_scale_0_loads_no_clip(pipe):
    assert pipe.guide(SamplingConfig(clip_guide="nowhere")) is None


def test_a_clip_is_loaded_once_and_frozen(pipe, noised):
    config = SamplingConfig(clip_guide=noised, clip_guidance_scale=1.0)
    clip = pipe.guide(config)
    assert pipe.guide(config) is clip
    assert not any(parameter.requires_grad for parameter in clip.parameters())


# a scale that is too large


@pytest.mark.slow
@pytest.mark.parametrize("threshold", ["none", "static", "dynamic"])
@pytest.mark.parametrize("scale", [1e6, 1e308])
@pytest.mark.parametrize(
    "way",
    [{}, {"clip_guidance_at": "x_0"}, {"clip_guidance_at": "x_0", "clip_through_unet": False}],
    ids=["x_t", "x_0", "past the U-Net"],
)
def test_divergence_is_told_once_and_gives_pictures(draw, caplog, threshold, scale, way):
    found = draw(["red circle"], clip_guidance_scale=scale, threshold=threshold, **way)
    (record,) = caplog.records
    assert "CLIP guidance makes the sample diverge at timestep" in record.getMessage()
    assert "use a smaller clip_guidance_scale" in record.getMessage()
    assert found.std() > 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_stay_finite_at_any_scale(pipe, noised, sampler):
    config = SamplingConfig(
        sampler=sampler, threshold="none", clip_guide=noised, clip_guidance_scale=1e9, num_steps=5
    )
    steps = list(pipe.steps(pipe.plan(PROMPTS, config)))
    assert len(steps) == 5
    assert all(step.x_t.isfinite().all() for step in steps)


def test_moderate_guidance_is_silent(draw, caplog):
    draw(num_steps=20)
    assert not caplog.records


# refusals


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"clip_guide": None, "clip_guidance_at": "x_t"}, "the model's own CLIP takes no timestep"),
        ({"clip_cutouts": 2}, "clip_cutouts with clip_guidance_at x_t"),
        (
            {"clip_guidance_at": "x_0", "deep_cache_every": 2},
            "deep_cache_every 2 with clip_guidance_at x_0",
        ),
        (
            {"clip_guide": None, "deep_cache_every": 2},
            "deep_cache_every 2 with clip_guidance_at x_0",
        ),
        ({"clip_prompts": ["a", "b"], "clip_weights": [1.0]}, "1 clip_weights for 2 clip_prompts"),
        ({"clip_prompts": ["one " * 30], "strict": True}, "tokens of the CLIP that guides"),
        ({"clip_prompts": [" "]}, "CLIP cannot guide towards an empty prompt"),
        ({"prompts": [""]}, "CLIP cannot guide towards an empty prompt"),
        ({"clip_guidance_interval": [9, 3]}, "clip_guidance_interval 9 3 is empty"),
        ({"clip_guidance_scale": -1.0}, "greater than or equal to 0"),
        ({"clip_guidance_every": 0}, "greater than or equal to 1"),
        (
            {"clip_guidance_scale": 0.0, "clip_prompts": ["red"]},
            "clip_prompts without guidance by CLIP",
        ),
        (
            {
                "clip_image": torch.zeros(3, 16, 16, dtype=torch.uint8),
                "clip_prompts": ["red"],
            },
            "clip_image and clip_prompts",
        ),
        (
            {
                "clip_image": torch.zeros(3, 16, 16, dtype=torch.uint8),
                "clip_guidance_scale": 0.0,
            },
            "clip_image without guidance by CLIP",
        ),
        ({"clip_image": torch.zeros(3, 16, 16)}, "clip_image is a tensor (3, 16, 16) of torch.flo"),
    ],
    ids=str,
)
def test_impossible_settings(draw, settings, expected):
    with pytest.raises(UsageError) as caught:
        draw(**settings)
    assert expected in str(caught.value)


def test_a_clean_clip_asked_for_x_t(draw, tiny_clip):
    with pytest.raises(UsageError, match="takes no timestep, so it cannot read x_t; use clip_guid"):
        draw(clip_guide=str(tiny_clip), clip_guidance_at="x_t")


def test_a_clean_clip_of_another_resolution_is_resized_to(draw, tiny_clip, tmp_path):
    from textdiff.clip import ClipConfig

    config = {
        "image": {"image_size": 24, "patch_size": 8, "width": 32, "heads": 2, "layers": 1},
        "text": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
        "embed_dim": 32,
    }
    ClipModel.build(ClipConfig(**config), seed=0).save(tmp_path)
    assert not np.array_equal(draw(clip_guide=str(tmp_path)), draw(clip_guidance_scale=0.0))


def test_a_noised_clip_of_another_resolution(draw, tiny_clip, tmp_path):
    folder = save_noised(tiny_clip, tmp_path, image_size=32)
    with pytest.raises(UsageError, match="reads pictures of 32 pixels a side, the U-Net draws 16"):
        draw(clip_guide=folder)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "linear", "num_timesteps": 100}, "schedule.name linear, the U-Net with cosine"),
        ({"num_timesteps": 1000}, "schedule.num_timesteps 1000, the U-Net with 100"),
        (
            {"num_timesteps": 100, "zero_terminal_snr": True},
            "schedule.zero_terminal_snr True, the U-Net with False",
        ),
    ],
)
def test_a_noised_clip_of_another_schedule(draw, tiny_clip, tmp_path, schedule, expected):
    folder = save_noised(tiny_clip, tmp_path, schedule=schedule)
    with pytest.raises(UsageError) as caught:
        draw(clip_guide=folder)
    assert expected in str(caught.value)


def test_the_schedule_does_not_matter_to_x_0(draw, tiny_clip, tmp_path):
    folder = save_noised(tiny_clip, tmp_path, schedule={"name": "linear", "num_timesteps": 7})
    assert draw(clip_guide=folder, clip_guidance_at="x_0").shape == (2, 16, 16, 3)


def test_no_clip_where_one_should_be(draw, tmp_path):
    with pytest.raises(CheckpointError, match="no CLIP"):
        draw(clip_guide=str(tmp_path / "nowhere"))


def test_half_a_noised_clip(draw, noised, tmp_path):
    half = shutil.copytree(noised, tmp_path / "half")
    (half / "noised_clip.safetensors").unlink()
    with pytest.raises(CheckpointError):
        draw(clip_guide=str(half))


def test_nothing_is_drawn_before_a_refusal(pipe, tmp_path):
    calls = []
    pipe.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(CheckpointError):
        pipe(PROMPTS, clip_guide=str(tmp_path), clip_guidance_scale=1.0)
    assert calls == []


def test_a_guided_pipe_is_a_text_to_image_like_any(pipe, noised, tmp_path):
    """Its guides are no part of what it saves."""
    pipe.guide(SamplingConfig(clip_guide=noised, clip_guidance_scale=1.0))
    pipe.save(tmp_path)
    assert TextToImage.load(tmp_path).guides == {}


ALONE = {"text_to_unet": False, "guidance_scale": 1.0}


class TestWithoutTextToTheUNet:
    def test_without_a_guide_prompts_do_not_matter(self, draw):
        off = {**ALONE, "clip_guidance_scale": 0.0, "clip_guide": None}
        empty = draw(["", ""], guidance_scale=1.0, clip_guidance_scale=0.0, clip_guide=None)
        assert np.array_equal(draw(**off), empty)

    def test_the_unet_draws_from_the_negative_prompt(self, draw):
        off = {"guidance_scale": 1.0, "clip_guidance_scale": 0.0, "clip_guide": None}
        told = draw(["blue square"] * 2, **off)
        assert np.array_equal(draw(**off, text_to_unet=False, negative_prompt="blue square"), told)
        assert np.array_equal(draw(**off, text_to_unet=False), draw(["", ""], **off))

    def test_prompts_that_nothing_reads_are_warned_of_once(self, draw, caplog):
        draw(**ALONE)
        draw([""], **ALONE, clip_guidance_scale=0.0)
        assert not caplog.records
        for _ in range(2):
            draw(**ALONE, clip_guidance_scale=0.0)
        (record,) = caplog.records
        assert "the prompts have no effect; give a clip_guidance_scale" in record.getMessage()

    def test_clip_alone_knows_the_prompt(self, draw, liking):
        one, other = draw(["red circle"], **ALONE), draw(["green cross"], **ALONE)
        assert liking(one, ["red circle"]) > liking(other, ["red circle"])
        assert liking(other, ["green cross"]) > liking(one, ["green cross"])
        towards = draw([""], guidance_scale=1.0, clip_prompts=("red circle",))
        assert np.abs(one - towards).max() <= 1

    def test_nothing_is_left_to_guide(self, draw):
        with pytest.raises(UsageError, match=r"text_to_unet false.*guidance_scale 1"):
            draw(text_to_unet=False, guidance_scale=3.0)


def test_guidance_at_x_t_is_the_same_where_it_is_played_back(pipe, draw):
    usual, turned = draw(), draw(PROMPTS[::-1])
    pipe.graphs = Graphs(plain_calls=0, record=rerun)
    np.testing.assert_array_equal(draw(), usual)
    np.testing.assert_array_equal(draw(PROMPTS[::-1]), turned)  # towards other targets
    assert len(pipe.graphs) == 2  # the U-Net, and the gradient
