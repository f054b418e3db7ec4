"""A first layer for latents: shapes, positions, and a start from what reads pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.helpers.damage import accept
from textdiff.clip import ClipConfig, ClipModel, NoisedClip, NoisedClipConfig
from textdiff.clip.config import ImageTowerConfig, TextTowerConfig
from textdiff.clip.latent_stem import patch_side, read_latents, resized_positions, ridge
from textdiff.errors import CheckpointError, UsageError
from textdiff.latent_space import LatentSpace

SPACE = LatentSpace(vae="a", mean=(0.0,) * 4, std=(1.0,) * 4)
SCHEDULE = {"name": "cosine", "num_timesteps": 10}
TEXT = TextTowerConfig(context_length=8, width=16, heads=2, layers=1)


def clip(**image) -> ClipModel:
    tower = ImageTowerConfig(**{"image_size": 32, "heads": 2, "layers": 1, **image})
    return ClipModel.build(ClipConfig(image=tower, text=TEXT, embed_dim=16), seed=0)


def vit(**image) -> ClipModel:
    return clip(**{"width": 16, "patch_size": 8, **image})


def resnet(size=64) -> ClipModel:
    return clip(kind="resnet", image_size=size, width=4)


def noised(source: ClipModel, side: int) -> NoisedClip:
    return NoisedClip(source, NoisedClipConfig(image_size=side, schedule=SCHEDULE, latents=SPACE))


def z(side: int) -> torch.Tensor:
    return torch.randn(3, 4, side, side, generator=torch.Generator().manual_seed(0))


T_3 = torch.tensor([3, 0, 9])


@pytest.mark.parametrize(
    ("source", "side"),
    [
        (vit, 8),  # 4 x 4 patches, as before
        (vit, 16),
        (vit, 6),  # 3 x 3 or 6 x 6: other positions
        (vit, 7),
        (lambda: resnet(64), 16),  # the whole stem is left out
        (lambda: resnet(64), 8),
        (lambda: resnet(64), 32),
        (lambda: resnet(64), 64),
    ],
)
def test_towers_read_latents_of_any_size_that_fits(source, side):
    clip = noised(source(), side)
    x_t = z(side).requires_grad_()
    features = clip.encode_image(x_t, T_3)
    assert features.shape == (3, 16)
    features.square().sum().backward()
    assert x_t.grad.flatten(1).norm(dim=1).gt(0).all()
    assert all(p.grad is not None for p in clip.clip.model.visual.parameters())


def test_a_resnet_that_they_do_not_fit():
    with pytest.raises(UsageError, match=r"latents of 12 x 12 do not fit.*of 48 pixels"):
        noised(resnet(64), 12)


def test_a_tower_of_another_kind():
    with pytest.raises(UsageError, match="cannot be made to read latents"):
        read_latents(nn.Identity(), 4, 8)


@pytest.mark.parametrize(
    ("side", "grid", "patch"), [(16, 8, 2), (32, 16, 2), (32, 7, 4), (7, 2, 7)]
)
def test_patches_are_about_as_many_as_before(side, grid, patch):
    assert patch_side(side, grid) == patch


def test_positions_are_kept_or_interpolated():
    positions = torch.randn(17, 5)
    assert torch.equal(resized_positions(positions, 4), positions)
    larger = resized_positions(positions, 8)
    assert larger.shape == (65, 5)
    assert torch.equal(larger[0], positions[0])
    by_hand = F.interpolate(
        positions[1:].T.reshape(1, 5, 4, 4), (8, 8), mode="bicubic", antialias=True
    )
    torch.testing.assert_close(larger[1:].T.reshape(1, 5, 8, 8), by_hand)
    constant = torch.ones(17, 5)
    torch.testing.assert_close(resized_positions(constant, 3), torch.ones(10, 5))


def test_least_squares_find_an_affine_map():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=rng, dtype=torch.float64) + 2
    weight, constant = (
        torch.randn(6, 3, generator=rng).double(),
        torch.tensor([1.0, -1, 5]).double(),
    )
    found, at_0 = ridge(x, x @ weight + constant, strength=1e-12)
    torch.testing.assert_close(found, weight)
    torch.testing.assert_close(at_0, constant)


def test_latents_that_are_pixels_start_with_the_same_features():
    """With "latents" that a linear map makes pixels of, nothing is lost: f(z) = f(x)."""
    source = vit(image_size=16)
    with torch.no_grad():
        before = source.eval()
    mix = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    pictures = 2 * torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    latents = torch.einsum("cd,ndhw->nchw", mix, pictures) + 0.5
    expected = before.encode_image(pictures).detach()
    clip = noised(source, 16).eval()
    apart = clip.encode_image(latents, torch.zeros(40, dtype=torch.int64))
    clip.start_from_pixels(pictures, latents)
    found = clip.encode_image(latents, torch.zeros(40, dtype=torch.int64))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)
    assert (apart - expected).norm() > 10 * (found - expected).norm()


def test_it_is_saved_and_loaded_with_the_clip_that_read_pictures(tmp_path):
    source = vit().eval()
    pictures = torch.rand(2, 3, 32, 32)
    before = source.encode_image(pictures)
    clip = noised(source, 8).eval()
    nn.init.normal_(clip.time.out[0].weight)
    clip.save(tmp_path)
    again = NoisedClip.load(tmp_path)
    assert again.latents == SPACE
    assert torch.equal(again.encode_image(z(8), T_3), clip.encode_image(z(8), T_3))
    assert again.weights_hash() == clip.weights_hash()
    torch.testing.assert_close(ClipModel.load(tmp_path / "clean").encode_image(pictures), before)
    torch.testing.assert_close(again.clean().encode_image(pictures), before)
    (tmp_path / "noised.yaml").write_text((tmp_path / "noised.yaml").read_text() + "clean_below: 2")
    with pytest.raises(CheckpointError, match="clean_below 2 with latents"):
        NoisedClip.load(accept(tmp_path))


def test_pictures_are_refused_by_a_clip_of_latents():
    with pytest.raises(ValueError, match=r"float x_t \(B, 4, 8, 8\)"):
        noised(vit(), 8).encode_image(torch.zeros(3, 3, 32, 32), T_3)
