"""Models of latents as `TextToImage` draws with them: pictures, masks, guidance, refusals."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.helpers.damage import accept
from tests.helpers.noised import noised_clip
from tests.helpers.unets import remade
from tests.helpers.vaes import vae_folder
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.errors import CheckpointError, UsageError
from textdiff.pictures import to_float
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.judge import ClipJudge
from textdiff.sampling.base import Step
from textdiff.types import Prediction
from textdiff.vae import Vae

PROMPTS = ["red circle", "green cross"]
FEW = {"num_steps": 3, "seed": 1}


@pytest.fixture(scope="module")
def loaded(tiny_latent_model) -> TextToImage:
    return TextToImage.load(tiny_latent_model)


@pytest.fixture
def pipe(loaded) -> TextToImage:
    """With weights at random, so that pictures differ in much."""
    return remade(loaded)


def pictures(count=2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, 16, 16), generator=rng).to(torch.uint8)


def drawn(pipe, **settings):
    plan = pipe.plan_from(PROMPTS, SamplingConfig(**{**FEW, **settings}))
    return pipe.draw(plan)


# what is drawn


def test_the_pictures_are_those_of_the_decoder(pipe):
    config = SamplingConfig(**FEW)
    *_, last = pipe.steps(pipe.plan(PROMPTS, config))
    assert last.x_t.shape == (2, 4, 4, 4) == (2, *pipe.codec.shape)
    statistics = pipe.vae.statistics
    z = last.x_t * statistics.std.view(4, 1, 1) + statistics.mean.view(4, 1, 1)
    images = pipe.vae.network.decode(z).sample
    by_hand = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(drawn(pipe), by_hand)
    assert pipe.config.image_size == 16 and pipe.config.unet.image_size == 4


def test_a_model_is_saved_with_its_vae_and_draws_the_same(pipe, tmp_path):
    pipe.save(tmp_path / "model")
    again = TextToImage.load(tmp_path / "model")
    assert torch.equal(drawn(again), drawn(pipe))
    assert again.space == pipe.space


def test_latents_are_not_kept_in_a_range(pipe):
    """auto stands for none: the same picture."""
    assert torch.equal(drawn(pipe), drawn(pipe, threshold="none"))
    *_, last = pipe.steps(pipe.plan(PROMPTS, SamplingConfig(**FEW)))
    assert last.x_t.abs().max() > 1


@pytest.mark.parametrize("settings", [{}, {"sampler": "ddpm"}, {"guidance_scale": 1.0}])
def test_a_picture_of_a_seed_is_the_same_at_every_batch_size(pipe, settings):
    together = drawn(pipe, **settings).int()
    alone = drawn(pipe, batch_size=1, **settings).int()
    assert (together - alone).abs().max() <= 1


def test_a_picture_comes_back_where_nothing_is_noised(pipe):
    """Strength 1/T: x_t is nearly the latent of the picture, and one step takes it back."""
    plan = pipe.plan_from(
        ["red circle"],
        SamplingConfig(num_steps=100, guidance_scale=1.0, strength=0.01),
        init_image=pictures()[0],
    )
    *_, last = pipe.steps(plan)
    x_0 = pipe.codec.encode(pictures()[:1])
    assert (last.x_t - x_0).square().mean().sqrt() < 0.2


# masks


def painted() -> Image.Image:
    """White on 5 x 3 pixels, which touch 2 x 1 places of 4 x 4."""
    mask = np.zeros((16, 16), np.uint8)
    mask[6:11, 4:7] = 255
    return Image.fromarray(mask)


def test_a_place_is_drawn_anew_where_any_of_its_pixels_is():
    init = Init.from_pictures(pictures()[0], painted(), None, 16)
    by_hand = torch.zeros(1, 4, 4, dtype=torch.bool)
    by_hand[0, 1:3, 1] = True
    assert torch.equal(init.redraw_at(4), by_hand)
    assert torch.equal(init.redraw_at(16), init.redraw)


def test_pixels_that_are_kept_stay_as_they_were(pipe):
    init = pictures()[0]
    plan = pipe.plan_from(PROMPTS, SamplingConfig(**FEW), init_image=init, mask=painted())
    found, redraw = pipe.draw(plan), plan.init.redraw
    kept = ~redraw.expand(2, 3, 16, 16)
    assert torch.equal(found[kept], init.expand(2, -1, -1, -1)[kept])
    assert not torch.equal(found, init.expand(2, -1, -1, -1))


def test_known_latents_end_as_those_of_the_picture(pipe):
    plan = pipe.plan_from(
        ["red circle"], SamplingConfig(**FEW), init_image=pictures()[0], mask=painted()
    )
    *_, last = pipe.steps(plan)
    known = ~plan.init.redraw_at(4).expand(1, 4, 4, 4)
    x_0 = pipe.codec.encode(pictures()[:1])
    torch.testing.assert_close(last.x_t[known], x_0[known], rtol=1e-4, atol=1e-4)


# a clean CLIP, through the decoder


def reward_by_hand(pipe, x_0, prompts):
    """exp(t) cosine of the decoded picture and the prompt, of each."""
    image = F.normalize(pipe.clip.encode_image(pipe.codec.images(x_0)), dim=-1)
    text = F.normalize(pipe.clip.encode_text(prompts).projected, dim=-1)
    return pipe.clip.logit_scale * (image * text).sum(-1)


@pytest.mark.parametrize("through_unet", [True, False])
def test_the_gradient_of_a_clean_clip_flows_through_the_decoder(pipe, through_unet):
    """With x_0_hat = x_t / a, whose Jacobian is 1 / a either way."""
    schedule, grid = pipe.schedule, torch.tensor([10, 50])
    config = SamplingConfig(clip_guidance_scale=2.0, clip_through_unet=through_unet)
    guide = ClipGuide.towards(pipe.clip, PROMPTS, config, pipe.codec)

    def denoise(x_t, timestep):
        a = schedule.at("signal", timestep, x_t)
        return Prediction(x_0=x_t / a, eps=torch.zeros_like(x_t))

    x_t, timestep = torch.randn(2, 4, 4, 4), torch.tensor([50, 50])
    found = guide.guided(denoise, schedule, grid)(x_t, timestep).gradient
    a = schedule.at("signal", timestep, x_t)
    x_0 = (x_t / a).requires_grad_()
    (gradient,) = torch.autograd.grad(reward_by_hand(pipe, x_0, PROMPTS).sum(), x_0)
    torch.testing.assert_close(found, 2.0 * gradient / a, rtol=1e-3, atol=1e-6)
    assert found.abs().sum() > 0


def liking(pipe, found) -> float:
    image = pipe.clip.encode_image(found)
    return float(F.cosine_similarity(image, pipe.clip.encode_text(PROMPTS).projected).mean())


@pytest.mark.parametrize(
    "settings", [{}, {"clip_through_unet": False, "clip_normalise": True}, {"clip_cutouts": 2}]
)
def test_a_clean_clip_guides(pipe, settings):
    scale = 1.0 if settings.get("clip_normalise") else 20.0
    guided = drawn(pipe, clip_guidance_scale=scale, num_steps=6, **settings)
    assert liking(pipe, guided) > liking(pipe, drawn(pipe, num_steps=6))


def test_a_clean_clip_guides_towards_a_picture(pipe):
    plan = pipe.plan_from(
        PROMPTS, SamplingConfig(**FEW, clip_guidance_scale=20.0), clip_image=pictures()[0]
    )
    target = F.normalize(pipe.clip.encode_image(to_float(pictures()[:1])), dim=-1)
    guide = ClipGuide.towards(plan.guide, PROMPTS, plan.config, pipe.codec, plan.clip_image)
    torch.testing.assert_close(guide.target, target)
    assert not torch.equal(pipe.draw(plan), drawn(pipe))


# a noised CLIP of latents


def test_a_clip_of_latents_guides_without_decoder(pipe, latent_noised, monkeypatch):
    settings = {"clip_guide": str(latent_noised), "clip_guidance_scale": 50.0}
    plain = drawn(pipe)
    decoded = []
    own = Vae.decode
    monkeypatch.setattr(Vae, "decode", lambda vae, z: decoded.append(len(z)) or own(vae, z))
    guided = drawn(pipe, **settings)
    assert decoded == [2]  # the pictures, at the end
    assert not torch.equal(guided, plain)


def test_its_gradient_is_that_of_x_t(pipe, latent_noised):
    config = SamplingConfig(clip_guide=str(latent_noised), clip_guidance_scale=1.0)
    clip = pipe.guide(config)
    guide = ClipGuide.towards(clip, PROMPTS, config, pipe.codec)
    x_t, timestep = torch.randn(2, 4, 4, 4), torch.tensor([50, 50])
    zero = Prediction(x_0=torch.zeros_like(x_t), eps=torch.zeros_like(x_t))
    found = guide.guided(lambda *_: zero, pipe.schedule, torch.tensor([50]))(x_t, timestep).gradient
    x = x_t.clone().requires_grad_()
    image = F.normalize(clip.encode_image(x, timestep), dim=-1)
    text = F.normalize(clip.encode_text(PROMPTS).projected, dim=-1)
    value = clip.logit_scale * (image * text).sum()
    torch.testing.assert_close(found, torch.autograd.grad(value, x)[0])


def test_it_guides_towards_the_latents_of_a_picture(pipe, latent_noised):
    config = SamplingConfig(clip_guide=str(latent_noised), clip_guidance_scale=1.0)
    clip = pipe.guide(config)
    guide = ClipGuide.towards(clip, PROMPTS, config, pipe.codec, pictures()[0])
    x_0, zero = pipe.codec.encode(pictures()[:1]), torch.zeros(1, dtype=torch.int64)
    torch.testing.assert_close(guide.target, F.normalize(clip.encode_image(x_0, zero), dim=-1))


# a choice among candidates


def test_a_clean_clip_judges_decoded_pictures(pipe):
    judge = ClipJudge.of_prompts(pipe.clip, PROMPTS, torch.tensor([0, 50]), pipe.codec)
    x = torch.randn(2, 4, 4, 4)
    prediction = Prediction(x_0=x, eps=x)
    for step in (Step(0, 0, x, prediction), Step(1, 50, torch.zeros_like(x), prediction)):
        seen = pipe.codec.images(x).clamp(-1, 1)
        text = pipe.clip.encode_text(PROMPTS).projected
        by_hand = F.cosine_similarity(pipe.clip.encode_image(seen), text)
        torch.testing.assert_close(judge(step), by_hand)


def test_a_clip_of_latents_judges_them(pipe, latent_noised):
    settings = {"best_of": 4, "judge": str(latent_noised), "keep_after": [0.5], "num_steps": 4}
    assert drawn(pipe, **settings).shape == (2, 3, 16, 16)


# refusals


@pytest.mark.parametrize("threshold", ["static", "dynamic"])
def test_thresholds_are_refused(pipe, threshold):
    with pytest.raises(UsageError, match=f"threshold {threshold}: this model draws latents"):
        drawn(pipe, threshold=threshold)


def test_a_clip_of_noised_pixels_is_refused_at_x_t(pipe, tiny_clip, tmp_path):
    noised_clip(tiny_clip).save(tmp_path / "noised")
    settings = {"clip_guide": str(tmp_path / "noised"), "clip_guidance_scale": 1.0}
    with pytest.raises(UsageError, match=r"reads noised pixels.*finetune-clip --codec"):
        drawn(pipe, **settings)
    assert drawn(pipe, clip_guidance_at="x_0", **settings).shape == (2, 3, 16, 16)


def test_a_clip_of_latents_is_refused_by_a_model_of_pixels(tiny_run, latent_noised):
    pipe = TextToImage.load(tiny_run)
    with pytest.raises(UsageError, match="reads latents of a VAE, the U-Net draws pixels"):
        drawn(pipe, clip_guide=str(latent_noised), clip_guidance_scale=1.0)


def other_space(latent_noised, folder, **changes):
    """A copy of the CLIP that says it reads other latents."""
    shutil.copytree(latent_noised, folder)
    text = (folder / "noised.yaml").read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "noised.yaml").write_text(text)
    return str(accept(folder))


def test_a_clip_of_another_vaes_latents_is_refused(pipe, latent_noised, tmp_path):
    other = other_space(latent_noised, tmp_path / "a", **{pipe.vae.identity: "0123456789abcdef"})
    with pytest.raises(UsageError, match=f"VAE 0123456789abcdef, .* those of {pipe.vae.identity}"):
        drawn(pipe, clip_guide=other, clip_guidance_scale=1.0)
    std = f"- {pipe.vae.statistics.std[0].item()}"
    other = other_space(latent_noised, tmp_path / "b", **{std: "- 0.75"})
    with pytest.raises(UsageError, match="scaled by other statistics"):
        drawn(pipe, clip_guide=other, clip_guidance_scale=1.0)


def test_cutouts_of_latents_are_refused(pipe, latent_noised):
    settings = {"clip_guide": str(latent_noised), "clip_guidance_scale": 1.0}
    with pytest.raises(UsageError, match=r"clip_cutouts with .*, which reads latents"):
        drawn(pipe, clip_cutouts=2, clip_guidance_at="x_0", **settings)


def test_a_folder_without_its_vae_or_with_another(tiny_latent_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_latent_model, folder)
    shutil.rmtree(folder / "vae")
    with pytest.raises(CheckpointError, match="has no vae/; put the VAE of its training there"):
        TextToImage.load(folder)
    vae_folder(folder / "vae", seed=1)
    with pytest.raises(CheckpointError, match="is not the VAE whose latents the U-Net"):
        TextToImage.load(folder)


def test_a_vae_without_statistics(tiny_latent_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_latent_model, folder)
    vae = Vae.load(folder / "vae")
    vae.statistics = None
    shutil.rmtree(folder / "vae")
    vae.save(folder / "vae")
    with pytest.raises(CheckpointError, match="no statistics of its latents"):
        TextToImage.load(folder)


def test_settings_of_a_model_that_contradict_each_other():
    with pytest.raises(ValueError, match="vae_factor 4 without a vae"):
        ModelConfig(clip="c", vae_factor=4)
    with pytest.raises(ValueError, match="latents are no coins"):
        ModelConfig(clip="c", vae="v", vae_factor=4, process="binary")


def test_the_clean_clip_of_a_model_of_pixels_is_not_decoded(tiny_run):
    """Pixels are what they are: no codec in the way of the gradient."""
    pipe = TextToImage.load(tiny_run)
    x = torch.randn(1, 3, 16, 16)
    assert pipe.codec.images(x) is x
    assert isinstance(pipe.clip, ClipModel)
