"""The two tasks: what is drawn per sample, what the network is shown, what is held out."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.batches import CAPTIONS, batch_of, noise
from textdiff.clip import ClipModel
from textdiff.data import DataConfig, open_data
from textdiff.diffusion import ObjectiveConfig
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.draws import draw, uniform_timesteps
from textdiff.training.tasks.contrastive import ContrastiveTask
from textdiff.training.tasks.diffusion import DiffusionTask

T_1000 = uniform_timesteps(1000)

# Draws


def test_draws_of_a_sample_do_not_depend_on_its_batch():
    keys = [(0, step, 0, 5) for step in range(4)]
    together, alone = draw(keys, (3, 4, 4), T_1000, 0.5), draw(keys[2:3], (3, 4, 4), T_1000, 0.5)
    assert torch.equal(together.eps[2:3], alone.eps)
    assert together.timestep[2] == alone.timestep[0]
    assert together.dropped[2] == alone.dropped[0]
    assert len(set(together.timestep.tolist())) == 4


def test_draws_follow_their_distributions():
    found = draw([(0, step, 0, 5) for step in range(2000)], (1,), uniform_timesteps(10), 0.3)
    assert sum(found.dropped) == pytest.approx(600, abs=100)
    assert found.timestep.bincount(minlength=10).tolist() == pytest.approx([200] * 10, abs=70)
    assert found.eps.mean().item() == pytest.approx(0, abs=0.1)
    assert found.eps.std().item() == pytest.approx(1, abs=0.1)


def test_objective_chooses_the_timesteps(pipe):
    """t = T u^power: of T = 100, half lie below 25 for power 2, half above 70 for power 0.5."""
    uniforms = torch.linspace(0.0005, 0.9995, 1000)
    for power, half in ((2.0, 25), (0.5, 70)):
        objective = ObjectiveConfig(timesteps="power", power=power)
        task = DiffusionTask(
            pipe=pipe, embed=pipe.clip.conditioning, seed=0, caption_drop=0.0, objective=objective
        )
        timestep, weight = task.draw_timesteps(uniforms)
        assert weight is None
        assert (timestep < half).double().mean().item() == pytest.approx(0.5, abs=0.02)


# Diffusion


@pytest.mark.parametrize(("caption_drop", "shown"), [(0.0, CAPTIONS), (1.0, ["", ""])])
def test_dropped_captions_become_the_empty_one(pipe, caption_drop, shown):
    seen = []

    def embed(captions):
        seen.extend(captions)
        return pipe.clip.conditioning(captions)

    task = DiffusionTask(pipe=pipe, embed=embed, seed=0, caption_drop=caption_drop)
    losses = task.losses(pipe.unet, batch_of(noise(2)), step=0)
    assert seen == shown
    assert losses["loss"].shape == (2,)


def test_held_out_quarters_go_from_the_least_noisy_to_the_noisiest(pipe, shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "val")
    task = DiffusionTask(
        pipe=pipe, embed=pipe.clip.conditioning, seed=0, caption_drop=1.0, held_out=data
    )
    seen = []
    pipe.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[1]))
    first, again = task.held_out_numbers(), task.held_out_numbers()
    assert first == again
    for quarter, timestep in enumerate(seen[:4]):
        assert len(timestep) == 4
        assert timestep.min() >= 25 * quarter
        assert timestep.max() < 25 * (quarter + 1)


@pytest.mark.parametrize("layers", [(-1,), (0, -1)])
@pytest.mark.parametrize("limit", [0, 10**9])
def test_captions_looked_up_or_computed_are_those_of_the_clip(pipe, limit, layers):
    embed = CaptionEmbeddings(pipe.clip, CAPTIONS, layers, limit_bytes=limit)
    assert (embed.table is None) == (limit == 0)
    asked = [CAPTIONS[1], "", CAPTIONS[0], CAPTIONS[1]]
    found, expected = embed(asked), pipe.clip.conditioning(asked, embed.length, layers)
    torch.testing.assert_close(found.tokens, expected.tokens)
    torch.testing.assert_close(found.pooled, expected.pooled)
    assert torch.equal(found.mask, expected.mask)


# CLIP


@pytest.fixture
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip)


def shown_to(clip: ClipModel, max_shift: int, step: int) -> torch.Tensor:
    """The pictures that the image tower gets of `noise(16)`."""
    seen = []

    def model(image, tokens):
        seen.append(image)
        return clip(image, tokens)

    task = ContrastiveTask(clip=clip, seed=0, max_shift=max_shift)
    task.losses(model, batch_of(noise(16)), step)
    return seen[0]


def test_pictures_are_shifted_each_by_its_own_offset(clip):
    shown, still = shown_to(clip, 2, step=0), noise(16)
    offsets = set()
    for picture, original in zip(shown, still, strict=True):
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if torch.equal(picture[:, 4:12, 4:12], original[:, 4 + y : 12 + y, 4 + x : 12 + x])
        ]
        assert len(found) == 1
        offsets |= set(found)
    assert len(offsets) > 5
    assert torch.equal(shown_to(clip, 2, step=0), shown)
    assert not torch.equal(shown_to(clip, 2, step=1), shown)


def test_pictures_stay_where_they_are_without_a_shift(clip):
    assert torch.equal(shown_to(clip, 0, step=0), noise(16))


def test_scale_is_clamped_after_an_update(clip):
    clip.model.logit_scale.data.fill_(9.0)
    ContrastiveTask(clip=clip, seed=0).after_update()
    assert clip.logit_scale.item() == pytest.approx(100)
