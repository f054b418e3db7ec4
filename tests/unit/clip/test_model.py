"""ClipModel against open_clip's own features, and its promises to whoever conditions on it."""

from __future__ import annotations

import functools
import math

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import nn

from tests.helpers.golden import golden
from textdiff.clip import ClipConfig, ClipModel
from textdiff.clip import source as clip_source
from textdiff.errors import UsageError

CAPTIONS = ["a red apple", "", "blue " * 40]
CONTEXT = 12
VIT = {"kind": "vit", "image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "heads": 2}
RESNET = {"kind": "resnet", "image_size": 32, "width": 8, "heads": 4}


def tiny_config(image: dict) -> ClipConfig:
    text = {"context_length": CONTEXT, "width": 32, "layers": 2, "heads": 2}
    return ClipConfig.model_validate({"embed_dim": 16, "image": image, "text": text})


@pytest.fixture(scope="module", params=[VIT, RESNET], ids=["vit", "resnet"])
def clip(request):
    return ClipModel.build(tiny_config(request.param), seed=0).freeze()


@pytest.fixture(scope="module")
def vit():
    return ClipModel.build(tiny_config(VIT), seed=0).freeze()


def variant(preprocess: dict | None = None, text: dict | None = None, **model_cfg) -> ClipModel:
    """The tiny ViT with another open_clip config; a vocabulary of 8 makes it quick to build."""
    config = tiny_config(VIT).to_open_clip() | model_cfg
    config["text_cfg"] |= text or {}
    module = clip_source.instantiate(config, preprocess or {}, seed=0)
    return ClipModel(clip_source.Source(module, config, byte_pair_tokenizer())).freeze()


@functools.cache
def byte_pair_tokenizer():
    return open_clip.SimpleTokenizer(context_length=CONTEXT)


def pictures(height: int, width: int, count: int = 2, low: int = 0, high: int = 255):
    """uint8 noise with hard edges, (count, 3, height, width)."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randint(low, high + 1, (count, 3, height // 4, width // 4), generator=rng)
    return coarse.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)


# Building


def test_build_is_a_function_of_the_seed():
    first, same, other = (ClipModel.build(tiny_config(VIT), seed) for seed in (0, 0, 1))
    assert first.weights_hash() == same.weights_hash()
    assert first.weights_hash() != other.weights_hash()


def test_build_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    ClipModel.build(tiny_config(VIT), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_build_can_be_trained():
    model = ClipModel.build(tiny_config(VIT), seed=0)
    assert model.training
    images, texts, scale = model(pictures(32, 32, 3), CAPTIONS)
    (scale * images @ texts.T).sum().backward()
    without_gradient = [name for name, p in model.named_parameters() if p.grad is None]
    assert without_gradient == []


def test_forward_gives_unit_features(clip):
    images, texts, scale = clip(pictures(32, 32, 3), CAPTIONS)
    torch.testing.assert_close(images.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(scale, torch.tensor(1 / 0.07))


def test_frozen_stays_in_eval_mode_under_a_training_parent(clip):
    nn.Sequential(clip).train()
    assert not any(module.training for module in clip.modules())
    assert not any(p.requires_grad for p in clip.parameters())


CLAMP = golden("contrastive")["by_id"]["clamp"]
GOLDEN_CLAMPS = list(zip(CLAMP["inputs"]["t_before"], CLAMP["outputs"]["t_after"], strict=True))


@pytest.mark.parametrize(("log_scale", "clamped"), [*GOLDEN_CLAMPS, (9.0, math.log(100))])
def test_logit_scale_is_clamped(log_scale, clamped):
    model = ClipModel.build(tiny_config(VIT), seed=0)
    nn.init.constant_(model.model.logit_scale, log_scale)
    model.clamp_logit_scale_()
    assert model.model.logit_scale.item() == pytest.approx(clamped)
    assert model.logit_scale.item() == pytest.approx(math.exp(clamped))


# Text


def test_projected_is_open_clips_text_feature(clip):
    expected = clip.model.encode_text(clip.tokenize(CAPTIONS).ids)
    torch.testing.assert_close(clip.encode_text(CAPTIONS).projected, expected)


TEXT_VARIANTS = {
    "custom": {"custom_text": True},
    "quick_gelu": {"quick_gelu": True},
    "projection_bias": {"custom_text": True, "text": {"proj_bias": True}},
    "no_projection": {"custom_text": True, "embed_dim": 32, "text": {"proj_type": "none"}},
    "eos_pooled": {"custom_text": True, "text": {"pool_type": "eos", "eos_id": 49407}},
    "last_pooled": {"custom_text": True, "text": {"pool_type": "last"}},
    "bidirectional": {"custom_text": True, "text": {"no_causal_mask": True, "pool_type": "last"}},
    "bidirectional_inline": {"text": {"no_causal_mask": True}},
}


@pytest.mark.parametrize("cfg", TEXT_VARIANTS.values(), ids=TEXT_VARIANTS.keys())
def test_projected_is_open_clips_for_other_text_towers(cfg):
    model = variant(**cfg)
    captions = ["a red apple", "dog"]
    expected = model.model.encode_text(model.tokenize(captions).ids)
    torch.testing.assert_close(model.encode_text(captions).projected, expected)


def test_trimming_changes_no_feature(clip):
    captions = ["a red apple", "dog"]
    short, full = clip.encode_text(captions), clip.encode_text(captions, trim=False)
    assert short.tokens.shape[1] == 5
    assert full.tokens.shape[1] == CONTEXT
    torch.testing.assert_close(short.tokens, full.tokens[:, :5])
    torch.testing.assert_close(short.pooled, full.pooled)
    torch.testing.assert_close(short.projected, full.projected)


def test_tokens_are_those_open_clip_projects(clip):
    """The end-of-text token's feature, projected, is open_clip's: so it is after the final norm."""
    features = clip.encode_text(CAPTIONS)
    ends = features.mask.sum(dim=1) - 1
    at_end = features.tokens[torch.arange(len(CAPTIONS)), ends]
    torch.testing.assert_close(at_end, features.pooled)
    torch.testing.assert_close(at_end @ clip.model.text_projection, features.projected)


def test_long_captions_keep_their_end_and_are_counted(vit):
    tokens = vit.tokenize(CAPTIONS)
    assert tokens.num_truncated == 1
    assert tokens.ids[2, -1] == 49407


def test_conditioning_has_one_length_with_padding_zeroed_and_masked(vit):
    one, two = vit.conditioning(["dog"]), vit.conditioning(["a red apple"])
    assert one.tokens.shape == two.tokens.shape == (1, CONTEXT, vit.text_width)
    assert one.mask.sum() == 3
    assert one.tokens[~one.mask].abs().max() == 0
    torch.testing.assert_close(one.tokens[one.mask], vit.encode_text(["dog"]).tokens[0])


def test_padding_can_be_shown_as_the_tower_has_it(vit):
    """As Stable Diffusion shows it: the last hidden states of a whole context, and no mask."""
    prompts = ["a red apple", "", "word " * 100]
    shown = vit.conditioning(prompts, padding=True)
    assert shown.mask is None
    expected = vit.encode_text(prompts, trim=False)
    assert torch.equal(shown.tokens, expected.tokens)
    masked = vit.conditioning(prompts)
    torch.testing.assert_close(shown.tokens[masked.mask], masked.tokens[masked.mask])
    torch.testing.assert_close(shown.pooled, masked.pooled)
    assert shown.tokens[~masked.mask].abs().min() > 0


def test_conditioning_does_not_depend_on_its_batch(vit):
    alone, among = vit.conditioning(["dog"]), vit.conditioning(["dog", "a red apple"])
    torch.testing.assert_close(alone.tokens, among[:1].tokens)
    torch.testing.assert_close(alone.pooled, among[:1].pooled)


def test_earlier_layers_stand_beside_the_last(vit):
    both, last = vit.conditioning(CAPTIONS, layers=(0, -1)), vit.conditioning(CAPTIONS)
    words, contextual = both.tokens.chunk(2, dim=-1)
    torch.testing.assert_close(contextual, last.tokens)
    tower, ids = vit.model, vit.tokenize(CAPTIONS).ids
    embedded = tower.ln_final(tower.token_embedding(ids) + tower.positional_embedding)
    torch.testing.assert_close(words, embedded.masked_fill(~last.mask[..., None], 0.0))
    torch.testing.assert_close(both.pooled, last.pooled)


def test_layers_are_counted_from_the_words(vit):
    layers = len(vit.model.transformer.resblocks)
    last = vit.conditioning(CAPTIONS).tokens
    torch.testing.assert_close(vit.conditioning(CAPTIONS, layers=(layers,)).tokens, last)
    earlier = vit.conditioning(CAPTIONS, layers=(layers - 1,)).tokens
    assert (earlier - last).abs().max() > 0.01


@pytest.mark.parametrize("layer", [-2, 9])
def test_a_layer_that_the_tower_lacks_is_refused(vit, layer):
    with pytest.raises(UsageError, match=f"text_layers has {layer}, but this CLIP's text tower"):
        vit.conditioning(CAPTIONS, layers=(-1, layer))


def test_pooled_has_unit_mean_square(vit):
    pooled = vit.conditioning(CAPTIONS).pooled
    torch.testing.assert_close(pooled.square().mean(dim=1), torch.ones(3))


def test_conditioning_needs_no_gradient():
    model = ClipModel.build(tiny_config(VIT), seed=0)
    assert not model.conditioning(["dog"]).tokens.requires_grad


def test_conditioning_cuts_prompts_to_a_shorter_length_with_their_end(vit):
    conditioning = vit.conditioning(["a red apple on a table"], length=4)
    expected = vit.encode_text(vit.tokenize(["a red apple on a table"], length=4))
    assert conditioning.mask.tolist() == [[True] * 4]
    torch.testing.assert_close(conditioning.tokens, expected.tokens)


def test_conditioning_longer_than_the_context_is_refused(vit):
    with pytest.raises(UsageError, match="context length 12 or less"):
        vit.conditioning(["dog"], length=13)


# Images


def test_image_features_are_open_clips_on_its_own_preprocessing(clip):
    images = pictures(32, 32)
    expected = clip.model.encode_image(images / 127.5 - 1)
    torch.testing.assert_close(clip.encode_image(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (20, 20)])
def test_uint8_and_float_images_agree(vit, size):
    images = pictures(*size)
    floats = images.float() / 127.5 - 1
    torch.testing.assert_close(
        vit.encode_image(images), vit.encode_image(floats), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(64, 64), (20, 20), (40, 80), (96, 48)])
def test_pixels_are_those_of_open_clips_transform(size, mode, interpolation):
    """To PIL's 8-bit rounding, twice: after resizing columns, and rows.

    PIL also clips twice, which we do not follow; so colours here stay clear of black and white.
    """
    mean, std = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
    preprocess = {"mean": mean, "std": std, "resize_mode": mode, "interpolation": interpolation}
    model = variant(preprocess, text={"vocab_size": 8})
    seen = []
    model.model.visual.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    images = pictures(*size, count=1, low=64, high=191)
    model.encode_image(images)
    config = open_clip.transform.PreprocessCfg(**preprocess, size=32)
    transform = open_clip.transform.image_transform_v2(config, is_train=False)
    expected = transform(Image.fromarray(np.asarray(images[0].permute(1, 2, 0))))
    assert seen[0].shape == (1, 3, 32, 32)
    worst = (seen[0][0] - expected).abs().max().item()
    assert worst < 1.6 / 255 / min(std)


def test_resized_pictures_do_not_overshoot(vit):
    """Interpolated bicubically, edges between black and white leave the range."""
    resized = vit._resize(pictures(16, 16) / 127.5 - 1)
    assert resized.abs().max() <= 1


def test_noised_images_keep_their_range_when_resized(vit):
    flat = torch.full((1, 3, 16, 16), 3.0)
    torch.testing.assert_close(vit._resize(flat), torch.full((1, 3, 32, 32), 3.0))


def test_gradient_reaches_float_images_through_the_resize(vit):
    images = (pictures(16, 16) / 127.5 - 1).requires_grad_()
    vit.encode_image(images).square().sum().backward()
    assert images.grad.abs().sum() > 0


def test_images_of_another_shape_are_refused(vit):
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got \(2, 32, 32, 3\)"):
        vit.encode_image(torch.zeros(2, 32, 32, 3))


def test_hash_sees_one_changed_weight():
    model = ClipModel.build(tiny_config(VIT), seed=0)
    before = model.weights_hash()
    model.model.logit_scale.data += 1e-6
    assert model.weights_hash() != before
    assert len(before) == 16


# Resizing that is differentiated


@pytest.mark.parametrize("reach", [0.8, 2.5])
def test_the_gradient_of_an_enlarged_picture_is_that_of_what_was_computed(reach):
    """Bicubic resizing overshoots, and what overshoots is cut at the picture's own extremes: a
    guide at x_t differentiates these too. reach: of the pixels, beyond 1 where they are noised."""
    clip = ClipModel.build(tiny_config(VIT), seed=0).freeze().double()
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(1, 3, 16, 16, generator=rng, dtype=torch.float64)
    x = (reach * x / x.abs().amax()).requires_grad_()
    weight = torch.randn(16, generator=rng, dtype=torch.float64)
    (clip.encode_image(x) @ weight).sum().backward()
    assert x.grad is not None
    # along the gradient, and along some other direction
    for direction in (x.grad / x.grad.norm(), torch.randn(x.shape, generator=rng, dtype=x.dtype)):
        step = 1e-6 * direction
        with torch.no_grad():
            ahead, back = ((clip.encode_image(x + s * step) @ weight).sum() for s in (1, -1))
        slope = ((ahead - back) / 2e-6).item()
        assert (x.grad * direction).sum().item() == pytest.approx(slope, rel=1e-5)
