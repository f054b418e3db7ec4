"""Fine-tuning CLIP on noised pictures as a task: what is drawn, lost, and warned of."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.batches import CAPTIONS, batch_of, noise
from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig, contrastive_loss
from textdiff.data import DataConfig, open_data
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.config import DensityConfig
from textdiff.diffusion.timestep_density import draw_timesteps, timestep_density
from textdiff.pictures import to_float
from textdiff.training.captions import CaptionFeatures
from textdiff.training.tasks.noised_clip import Distillation, NoisedClipTask, training_density

SCHEDULE = NoiseSchedule.cosine(10)
CONFIG = NoisedClipConfig(image_size=16, schedule={"name": "cosine", "num_timesteps": 10})


@pytest.fixture
def clip(tiny_clip) -> NoisedClip:
    return NoisedClip(ClipModel.load(tiny_clip), CONFIG).train_parts(text=False)


@pytest.fixture
def texts(clip) -> CaptionFeatures:
    return CaptionFeatures(clip, CAPTIONS)


@pytest.fixture
def task(clip, texts) -> NoisedClipTask:
    return NoisedClipTask(clip=clip, schedule=SCHEDULE, seed=0, texts=texts)


def distilled(clip: NoisedClip, texts: CaptionFeatures, how: Distillation) -> NoisedClipTask:
    return NoisedClipTask(clip=clip, schedule=SCHEDULE, seed=0, texts=texts, distillation=how)


# Timesteps

DENSITIES = [
    DensityConfig(),
    DensityConfig(density="log_snr"),
    DensityConfig(density="power", power=2.0),
]
each_density = pytest.mark.parametrize("config", DENSITIES, ids=lambda config: config.density)


@each_density
@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_densities_are_densities(config, zero_terminal_snr):
    schedule = SCHEDULE.with_zero_terminal_snr() if zero_terminal_snr else SCHEDULE
    density = timestep_density(config, schedule)
    assert density.shape == (10,)
    assert density.sum().item() == pytest.approx(1)
    assert (density > 0).all()


@each_density
def test_one_timestep_is_always_drawn(config):
    assert timestep_density(config, NoiseSchedule(torch.tensor([0.5]))).tolist() == [1.0]


def test_uniform_density():
    assert timestep_density(DensityConfig(), SCHEDULE).tolist() == pytest.approx([0.1] * 10)


def test_power_is_that_of_the_uniform_number():
    """t = floor(T u^2): t < k where u < sqrt(k / T)."""
    density = timestep_density(DensityConfig(density="power", power=2.0), SCHEDULE)
    expected = [math.sqrt(k / 10) for k in range(1, 11)]
    assert density.cumsum(0).tolist() == pytest.approx(expected)


def test_log_snr_density_is_uniform_where_steps_in_log_snr_are_equal():
    snr = torch.exp(-torch.arange(-4, 4, dtype=torch.float64))
    ac = snr / (1 + snr)
    betas = 1 - ac / torch.cat([torch.ones(1, dtype=torch.float64), ac[:-1]])
    density = timestep_density(DensityConfig(density="log_snr"), NoiseSchedule(betas))
    assert density.tolist() == pytest.approx([1 / 8] * 8)


def test_log_snr_density_follows_the_steps():
    density = timestep_density(DensityConfig(density="log_snr"), NoiseSchedule.linear(100))
    steps = -NoiseSchedule.linear(100).half_log_snr.diff()
    between = (steps[:-1] + steps[1:]) / 2
    torch.testing.assert_close(density[1:-1] / density[1], between / between[0])


def test_draws_invert_the_cdf():
    density = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    uniforms = torch.tensor([0.0, 0.24, 0.25, 0.74, 0.75, 1 - 1e-17], dtype=torch.float64)
    assert draw_timesteps(density, uniforms).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("density", "power"), [("power", 1.0), ("uniform", 2.0), ("log_snr", 2)])
def test_a_power_goes_with_its_density_alone(density, power):
    with pytest.raises(ValueError, match="do not go together"):
        DensityConfig(density=density, power=power)


def test_density_with_a_share_of_clean_pictures():
    found = training_density(timestep_density(DensityConfig(), SCHEDULE), 0, 0.25)
    assert found.tolist() == pytest.approx([0.325, *[0.075] * 9])


def test_density_without_what_the_clean_tower_reads():
    found = training_density(timestep_density(DensityConfig(), SCHEDULE), 6, 0.0)
    assert found.tolist() == pytest.approx([0.0] * 6 + [0.25] * 4)


# Draws


def test_a_share_of_the_pictures_is_clean(clip, texts):
    task = NoisedClipTask(clip=clip, schedule=SCHEDULE, seed=0, texts=texts, clean_share=0.5)
    drawn = torch.cat([task.draw(batch_of(noise(16)), step)[1] for step in range(60)])
    standard_error = math.sqrt(0.55 * 0.45 / len(drawn))
    assert (drawn == 0).double().mean().item() == pytest.approx(0.55, abs=4 * standard_error)


def test_timesteps_of_the_clean_tower_are_not_drawn(tiny_clip):
    config = CONFIG.model_copy(update={"clean_below": 6})
    clip = NoisedClip(ClipModel.load(tiny_clip), config)
    task = NoisedClipTask(clip=clip, schedule=SCHEDULE, seed=0)
    drawn = torch.cat([task.draw(batch_of(noise(16)), step)[1] for step in range(30)])
    assert drawn.unique().tolist() == [6, 7, 8, 9]


def test_draws_of_a_sample_do_not_depend_on_its_batch(task):
    eps, timestep = task.draw(batch_of(noise(4)), step=3)
    alone = batch_of(noise(1))
    alone.sample_ids[0] = 2
    eps_alone, timestep_alone = task.draw(alone, step=3)
    assert torch.equal(eps[2:3], eps_alone)
    assert timestep[2] == timestep_alone[0]


def test_every_timestep_is_drawn(task):
    timestep = torch.cat([task.draw(batch_of(noise(16)), step)[1] for step in range(30)])
    assert timestep.unique().tolist() == list(range(10))


def test_the_tower_sees_noised_pictures_at_their_timesteps(task):
    seen = []

    def model(x_t, timestep, texts):
        seen.append((x_t, timestep))
        return task.model(x_t, timestep, texts)

    batch = batch_of(noise(4))
    task.losses(model, batch, step=5)
    eps, timestep = task.draw(batch, step=5)
    expected = SCHEDULE.add_noise(to_float(noise(4)), eps, timestep)
    assert torch.equal(seen[0][0], expected)
    assert torch.equal(seen[0][1], timestep)


# Losses


def features_of(task: NoisedClipTask, step: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit features of the batch's noised pictures and of its captions."""
    batch = batch_of(noise(4))
    eps, timestep = task.draw(batch, step)
    x_t = SCHEDULE.add_noise(to_float(noise(4)), eps, timestep)
    image = task.model.encode_image(x_t, timestep)
    text = task.model.encode_text(batch.captions).projected
    return F.normalize(image, dim=-1), F.normalize(text, dim=-1)


def test_loss_is_the_contrastive_one(task):
    losses = task.losses(task.model, batch_of(noise(4)), step=0)
    expected = contrastive_loss(*features_of(task), task.model.logit_scale)
    torch.testing.assert_close(losses["loss"], expected)
    assert losses["logit_scale"] == task.model.logit_scale


def test_distillation_adds_the_distance_to_the_clean_tower(clip, texts, tiny_clip):
    teacher = ClipModel.load(tiny_clip).freeze()
    distillation = Distillation(teacher=teacher, weight=0.5)
    task = distilled(clip, texts, distillation)
    losses = task.losses(clip, batch_of(noise(4)), step=0)
    images, captions = features_of(task)
    apart = 1 - F.cosine_similarity(images, teacher.encode_image(noise(4)))
    expected = contrastive_loss(images, captions, clip.logit_scale) + 0.5 * apart.mean()
    torch.testing.assert_close(losses["loss"], expected)
    torch.testing.assert_close(losses["distillation"], apart)


def test_distillation_by_signal_holds_on_to_clean_pictures_most(clip, texts, tiny_clip):
    teacher = ClipModel.load(tiny_clip).freeze()
    distillation = Distillation(teacher=teacher, weight=0.5, by_signal=True)
    task = distilled(clip, texts, distillation)
    losses = task.losses(clip, batch_of(noise(4)), step=0)
    images, captions = features_of(task)
    apart = 1 - F.cosine_similarity(images, teacher.encode_image(noise(4)))
    _, timestep = task.draw(batch_of(noise(4)), step=0)
    signal = SCHEDULE.alphas_cumprod[timestep].float()
    assert signal.unique().numel() > 1
    expected = contrastive_loss(images, captions, clip.logit_scale) + 0.5 * (signal * apart).mean()
    torch.testing.assert_close(losses["loss"], expected)
    torch.testing.assert_close(losses["distillation"], signal * apart)


def test_a_text_tower_that_is_trained_gets_gradients(clip):
    task = NoisedClipTask(clip=clip.train_parts(text=True), schedule=SCHEDULE, seed=0)
    task.losses(clip, batch_of(noise(4)), step=0)["loss"].backward()
    assert clip.clip.model.token_embedding.weight.grad.abs().max() > 0


@pytest.mark.parametrize("limit", [0, 10**9])
def test_caption_features_looked_up_or_computed_are_those_of_the_clip(clip, limit):
    texts = CaptionFeatures(clip, CAPTIONS, limit_bytes=limit)
    assert (texts.table is None) == (limit == 0)
    asked = [CAPTIONS[1], CAPTIONS[0], CAPTIONS[1]]
    torch.testing.assert_close(texts(asked), clip.encode_text(asked).projected)
    assert not texts(asked).requires_grad


def test_a_batch_of_one_has_a_loss(task):
    """Of nothing to be told from: 0."""
    losses = task.losses(task.model, batch_of(noise(1)), step=0)
    assert losses["loss"].item() == pytest.approx(0, abs=1e-6)


def test_a_batch_of_one_can_be_distilled(clip, texts, tiny_clip):
    teacher = ClipModel.load(tiny_clip).freeze()
    distillation = Distillation(teacher=teacher, weight=1.0)
    task = distilled(clip, texts, distillation)
    task.losses(clip, batch_of(noise(1)), step=0)["loss"].backward()
    assert clip.clip.model.visual.conv1.weight.grad.abs().max() > 0


def test_scale_is_clamped_after_an_update(task):
    task.model.clip.model.logit_scale.data.fill_(9.0)
    task.after_update()
    assert task.model.logit_scale.item() == pytest.approx(100)


def test_with_a_trained_text_tower_a_caption_is_tokenized_once(clip, monkeypatch):
    seen, tokenize = [], ClipModel.tokenize

    def counted(self, captions, length=None):
        seen.extend(captions)
        return tokenize(self, captions, length)

    monkeypatch.setattr(ClipModel, "tokenize", counted)
    task, batch = NoisedClipTask(clip=clip, schedule=SCHEDULE, seed=0), batch_of(noise(4))
    for step in (0, 1):
        task.losses(clip, batch, step)
    assert sorted(seen) == sorted(set(batch.captions))


# The scale


def test_the_task_watches_the_scale(task, caplog):
    task.losses(task.model, batch_of(noise(4)), step=0)
    task.after_update()
    task.model.clip.model.logit_scale.data.zero_()
    task.losses(task.model, batch_of(noise(4)), step=7)
    assert not caplog.records
    task.after_update()
    assert "step 7: the logit scale collapsed" in caplog.text


# Held out


def test_held_out_numbers_at_four_levels(task, shapes):
    task.held_out = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "val")
    found = task.evaluate(0, run=None)
    levels = [f"held_out/{name}_t{t}" for t in (0, 2, 4, 6) for name in ("R@1", "R@5")]
    assert list(found) == [*levels, "held_out/chance_R@5"]
    assert all(0 <= value <= 1 for value in found.values())
    assert task.evaluate(1, run=None) == found


def test_nothing_held_out(task):
    assert task.evaluate(0, run=None) == {}
