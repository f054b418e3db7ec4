"""Best of N as `TextToImage` offers it: what is chosen, what it costs, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers.noised import noised_clip
from tests.helpers.recording import rerun
from tests.helpers.unets import Rows, remade
from textdiff import TextToImage
from textdiff.clip import ClipModel, NoisedClip
from textdiff.cuda_graphs import Graphs
from textdiff.errors import CheckpointError, UsageError
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.cost import Evaluations, evaluations
from textdiff.pipeline.network import TextNetwork
from textdiff.pipeline.plan import DrawPlan
from textdiff.sampling import ImageNoise
from textdiff.sampling.base import Step
from textdiff.types import Samples

PROMPTS = ["red circle", "green cross"]


@pytest.fixture
def pipe(pipe) -> TextToImage:
    """With weights at random, so that candidates differ in much."""
    return remade(pipe)


@pytest.fixture(scope="module")
def noised(tiny_clip, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("noised")
    noised_clip(tiny_clip).save(folder)
    return str(folder)


@pytest.fixture
def settings(noised) -> dict:
    """Of four candidates, two of which stop halfway."""
    few = {"num_steps": 4, "seed": 1}
    return {**few, "best_of": 4, "judge": noised, "keep_after": [0.5]}


def samples(pipe: TextToImage, config: SamplingConfig, **more) -> Samples:
    """x_0 of PROMPTS, (2, 3, 16, 16)."""
    *_, last = pipe.steps(pipe.plan(PROMPTS, config, **more))
    return last.x_t


def steps_of_candidate(pipe: TextToImage, plan: DrawPlan, p: int, j: int) -> list[Step]:
    """All steps of candidate j of the plan's picture p, drawn alone."""
    config = plan.config
    seed = plan.candidate_seeds(slice(0, len(PROMPTS)))[j * len(PROMPTS) + p]
    network = TextNetwork.bind(
        pipe.unet, pipe.conditioning, [PROMPTS[p]], config.negative_prompt, plan.grid
    )
    guide = None
    if plan.guide is not None:
        guide = ClipGuide.towards(plan.guide, [PROMPTS[p]], config, pipe.codec, seeds=[seed])
    noise = ImageNoise([seed], pipe.codec.shape)
    return list(pipe.process.draw(network, plan, noise, pipe.codec, guide))


def cosine(clip: NoisedClip | ClipModel, x: Samples, prompt: str, timestep: int) -> float:
    if isinstance(clip, NoisedClip):
        image = clip.encode_image(x, torch.tensor([timestep]))
    else:
        image = clip.encode_image(x)
    text = clip.encode_text([prompt]).projected
    return float(F.cosine_similarity(image, text))


# what is chosen


@pytest.mark.parametrize("sampler", ["dpmpp_sde", "unipc"])  # history, and noise besides
def test_a_noised_clip_stops_the_worse_by_x_t_and_keeps_the_best_picture(pipe, settings, sampler):
    """By hand: each candidate drawn alone, scored at the timestep that its x_t has."""
    plan = pipe.plan(PROMPTS, SamplingConfig(**settings, sampler=sampler))
    clip, found = plan.judge, samples(pipe, plan.config)
    for p, prompt in enumerate(PROMPTS):
        every = [steps_of_candidate(pipe, plan, p, j) for j in range(4)]
        halfway = [cosine(clip, one[1].x_t, prompt, int(plan.grid[1])) for one in every]
        left = sorted(range(4), key=lambda j: -halfway[j])[:2]
        finished = {j: cosine(clip, every[j][-1].x_t.clamp(-1, 1), prompt, 0) for j in left}
        best = max(left, key=finished.__getitem__)
        torch.testing.assert_close(found[p], every[best][-1].x_t[0], atol=1e-4, rtol=1e-4)


def test_a_clean_clip_looks_at_x_0_hat(pipe, settings, tiny_clip):
    plan = pipe.plan(PROMPTS, SamplingConfig(**{**settings, "judge": str(tiny_clip)}))
    found = samples(pipe, plan.config)
    for p, prompt in enumerate(PROMPTS):
        every = [steps_of_candidate(pipe, plan, p, j) for j in range(4)]
        halfway = [cosine(plan.judge, one[1].x_0_hat.clamp(-1, 1), prompt, 0) for one in every]
        left = sorted(range(4), key=lambda j: -halfway[j])[:2]
        best = max(left, key=lambda j: cosine(plan.judge, every[j][-1].x_t, prompt, 0))
        torch.testing.assert_close(found[p], every[best][-1].x_t[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "more",
    [
        {"guidance_scale": 1.0, "clip_guidance_scale": 5.0},
        {"clip_guidance_scale": 5.0, "clip_guidance_at": "x_0", "clip_cutouts": 2},
    ],
    ids=["x_t", "cutouts"],
)
def test_survivors_are_guided_as_if_alone(pipe, settings, noised, more):
    """Cutouts, too, go on from where they were."""
    plan = pipe.plan(PROMPTS, SamplingConfig(**settings, **more, clip_guide=noised))
    found = samples(pipe, plan.config)
    for p in range(2):
        every = [steps_of_candidate(pipe, plan, p, j)[-1].x_t[0] for j in range(4)]
        distances = [float((one - found[p]).abs().max()) for one in every]
        assert min(distances) < 1e-3 < sorted(distances)[1]


def test_the_first_candidate_is_what_the_seed_draws(pipe, settings):
    plan = pipe.plan(PROMPTS, SamplingConfig(**settings))
    first, *others = plan.candidate_seeds(slice(0, 1))
    assert [first] == plan.seeds(slice(0, 1))
    assert len({*others, first}) == 4


def test_one_of_one_is_plain_sampling(pipe):
    plain, one = ({"num_steps": 3}, {"num_steps": 3, "best_of": 1})
    assert torch.equal(*(samples(pipe, SamplingConfig(**each)) for each in (plain, one)))


def test_the_judge_likes_the_best_of_more_candidates_more(pipe, settings):
    """Of nested candidates, all of which finish; strictly, as the best is rarely the first."""
    usual = {**settings, "keep_after": []}
    clip = pipe.plan(PROMPTS, SamplingConfig(**usual)).judge
    means = []
    for count in (1, 2, 8):
        of_count = {"num_steps": 4, "seed": 1} if count == 1 else {**usual, "best_of": count}
        x_0 = samples(pipe, SamplingConfig(**of_count)).clamp(-1, 1)
        means.append(sum(cosine(clip, x[None], p, 0) for x, p in zip(x_0, PROMPTS, strict=True)))
    assert means[0] <= means[1] < means[2]


@pytest.mark.parametrize("sampler", ["dpmpp", "ddpm"])
def test_batch_size_changes_no_picture(pipe, settings, sampler):
    """Less than a picture's candidates fit into the smaller batch."""
    one, both = (
        samples_of_batches(pipe, SamplingConfig(**settings, sampler=sampler, batch_size=size))
        for size in (1, 2)
    )
    assert np.abs(one - both).max() <= 1


def samples_of_batches(pipe: TextToImage, config: SamplingConfig) -> np.ndarray:
    return pipe.draw(pipe.plan(PROMPTS, config)).int().numpy()


def test_picture_k_alone(pipe, settings):
    config = SamplingConfig(**settings)
    both = pipe.draw(pipe.plan(PROMPTS, config)).int()
    second = pipe.draw(pipe.plan(PROMPTS[1:], config, first=1)).int()
    assert (both[1:] - second).abs().max() <= 1


def test_known_pixels_stay_known(pipe, settings, shapes):
    from PIL import Image

    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (8, 0, 16, 16))
    with Image.open(shapes / "green-square.png") as picture:
        found = pipe(PROMPTS, **settings, init_image=picture, mask=mask)
        kept = np.asarray(picture)[:, :8]
    for drawn in found:
        assert np.array_equal(np.asarray(drawn)[:, :8], kept)


def test_pictures_are_the_same_where_kernels_are_played_back(pipe, settings):
    """One recording serves all candidates, and all that are left: they have one shape."""
    graphs = Graphs(plain_calls=0, record=rerun)
    plain = samples(pipe, SamplingConfig(**settings))
    pipe.graphs = graphs
    assert torch.equal(samples(pipe, SamplingConfig(**settings)), plain)
    assert len(graphs) == 1


# what it costs


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Evaluations(2 * (4 * 2 + 2 * 2), judge=4 + 2)),
        ({"keep_after": []}, Evaluations(2 * 4 * 4, judge=4)),
        ({"keep_after": [0.25, 0.25]}, Evaluations(2 * (4 + 3), judge=4)),
        ({"guidance_scale": 1.0}, Evaluations(4 * 2 + 2 * 2, judge=4 + 2)),
        # 99 and 74, before the halving, are outside
        ({"guidance_interval": [0, 60]}, Evaluations(4 * 2 + 2 * 2 * 2, judge=4 + 2)),
    ],
    ids=str,
)
def test_evaluations_are_counted_beforehand(pipe, settings, more, expected):
    plan = pipe.plan(PROMPTS, SamplingConfig(**{**settings, **more}))
    assert evaluations(plan) == expected
    network, seen = Rows(pipe.unet.mid_block), Looks(plan.judge)
    pipe.draw(plan)
    assert sum(network.seen) == len(PROMPTS) * expected.network
    assert max(network.seen) <= 2 * len(PROMPTS)
    assert sum(seen.rows) == len(PROMPTS) * expected.judge


def test_gradients_of_the_guide_are_counted(pipe, settings, noised, tiny_clip):
    guided = {"clip_guide": str(tiny_clip), "clip_guidance_scale": 1.0, "clip_guidance_every": 2}
    plan = pipe.plan(PROMPTS, SamplingConfig(**settings, **guided))
    assert evaluations(plan).guide == 4 + 2
    seen = Looks(plan.guide)
    pipe.draw(plan)
    assert sum(seen.rows) == len(PROMPTS) * (4 + 2)


def test_without_a_choice_a_picture_costs_its_steps(pipe):
    plan = pipe.plan(PROMPTS, SamplingConfig(num_steps=7))
    assert evaluations(plan) == Evaluations(14)


class Looks:
    """How many pictures a CLIP has seen at each of its calls."""

    def __init__(self, clip: NoisedClip | ClipModel) -> None:
        self.rows: list[int] = []
        encode = clip.encode_image

        def watched(x, *others):
            self.rows.append(len(x))
            return encode(x, *others)

        clip.encode_image = watched


# refusals


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"best_of": 1}, "keep_after with best_of 1, where there is nothing to choose"),
        ({"best_of": 1, "keep_after": []}, "judge with best_of 1, where there is nothing to choo"),
        ({"best_of": 0}, "greater than or equal to 1"),
        ({"keep_after": [1.0]}, "keep_after 1 is no share of the steps between none and all"),
        ({"keep_after": [0.5, 0.0]}, "keep_after 0 is no share of the steps"),
        ({"keep_after": [0.2, 0.3, 0.4]}, "names 3 halvings, but after 2 one of best_of 4 is left"),
        ({"num_steps": 1}, "keep_after halves between steps, and there is 1 alone"),
        ({"deep_cache_every": 2}, "deep_cache_every 2 with best_of 4"),
    ],
    ids=str,
)
def test_impossible_settings(pipe, settings, more, expected):
    with pytest.raises(UsageError) as caught:
        pipe(PROMPTS, **{**settings, **more})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_prompt(pipe, settings):
    with pytest.raises(UsageError, match="best_of 4 with an empty prompt, by which no CLIP can"):
        pipe(["red", ""], **settings)


def test_a_judge_of_another_resolution(pipe, settings, tiny_clip, tmp_path):
    noised_clip(tiny_clip, image_size=32).save(tmp_path)
    with pytest.raises(UsageError, match="reads pictures of 32 pixels a side, the U-Net draws 16"):
        pipe(PROMPTS, **{**settings, "judge": str(tmp_path)})


def test_a_judge_of_another_schedule_may_judge_finished_pictures_alone(
    pipe, settings, tiny_clip, tmp_path
):
    noised_clip(tiny_clip, schedule={"name": "linear", "num_timesteps": 100}).save(tmp_path)
    other = {**settings, "judge": str(tmp_path)}
    with pytest.raises(UsageError, match=r"learned noise with schedule\.name linear"):
        pipe(PROMPTS, **other)
    assert len(pipe(PROMPTS, **{**other, "keep_after": []})) == 2


def test_no_judge_where_one_should_be(pipe, settings, tmp_path):
    with pytest.raises(CheckpointError, match="no CLIP"):
        pipe(PROMPTS, **{**settings, "judge": str(tmp_path / "nowhere")})


def test_a_prompt_too_long_for_the_judge(pipe, settings):
    with pytest.raises(UsageError, match="prompt too long"):
        pipe(["one " * 30], **settings, strict=True)


def test_coins_are_not_chosen_among(pipe):
    binary = remade(pipe, process="binary", in_channels=1)
    with pytest.raises(UsageError, match="best_of 4: a binary model draws coins"):
        binary(PROMPTS, num_steps=4, best_of=4)
