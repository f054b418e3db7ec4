"""The perceptual distance of a CLIP's layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from textdiff.clip import ClipModel
from textdiff.clip.config import ClipConfig, ImageTowerConfig, TextTowerConfig
from textdiff.errors import CheckpointError, UsageError
from textdiff.training.perceptual import LPIPS_WEIGHTS, ClipDistance, perceptual_distance

X = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
TEXT = TextTowerConfig(context_length=8, width=16, heads=2, layers=1)
TOWERS = {
    "vit": ImageTowerConfig(image_size=32, patch_size=8, width=16, heads=2, layers=3),
    "resnet": ImageTowerConfig(kind="resnet", image_size=32, width=8, heads=4),
}


@pytest.fixture(params=TOWERS)
def distance(request):
    config = ClipConfig(image=TOWERS[request.param], text=TEXT, embed_dim=16)
    return ClipDistance(ClipModel.build(config, seed=0).freeze(), "clip")


def test_a_picture_is_at_no_distance_from_itself_and_grows_with_noise(distance):
    noise = torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    near, far = distance(X, X + 0.1 * noise), distance(X, X + 0.5 * noise)
    torch.testing.assert_close(distance(X, X), torch.zeros(3))
    assert near.shape == (3,) and (near > 0).all() and (near < far).all()


def test_each_picture_is_judged_by_itself(distance):
    Y = X.roll(1, 0)
    for k in range(3):
        torch.testing.assert_close(distance(X, Y)[k], distance(X[k : k + 1], Y[k : k + 1])[0])


def test_gradients_flow_to_the_reconstruction_alone(distance):
    x, y = X.clone().requires_grad_(), (0.9 * X).requires_grad_()
    distance(x, y).sum().backward()
    assert x.grad is None and y.grad.abs().sum() > 0
    assert all(p.grad is None for p in distance.clip.parameters())


def test_it_is_the_mean_over_layers_of_unit_features():
    clip = ClipModel.build(ClipConfig(image=TOWERS["vit"], text=TEXT, embed_dim=16), seed=0)
    distance, seen = ClipDistance(clip.freeze(), "clip"), []
    for block in clip.model.visual.transformer.resblocks:
        block.register_forward_hook(lambda *call: seen.append(call[-1]))
    Y = X.flip(-1)
    clip.encode_image(torch.cat([X, Y]))
    want = torch.stack(
        [2 - 2 * F.cosine_similarity(layer[:3], layer[3:], dim=-1).mean(1) for layer in list(seen)]
    ).mean(0)
    torch.testing.assert_close(distance(X, Y), want, rtol=1e-4, atol=1e-6)


def test_no_clip_there():
    with pytest.raises(CheckpointError, match="no CLIP"):
        perceptual_distance("/nowhere/clip")


def test_lpips_without_its_weights_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UsageError, match=r"vgg16-397923af\.pth there, or give a CLIP"):
        perceptual_distance("lpips")


LAYERS = (3, 8, 15, 22, 29)  # of VGG16's features: the last of each size
SHIFT = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)  # of the authors' code
SCALE = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)


@pytest.fixture
def vgg16(tmp_path, monkeypatch) -> torch.nn.Sequential:
    """Random layers of VGG16 where torchmetrics looks for the trained ones."""
    from torchvision.models.vgg import cfgs, make_layers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = make_layers(cfgs["D"])
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / LPIPS_WEIGHTS).write_bytes(b"")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    lpips = "torchmetrics.functional.image.lpips._get_tv_model_features"
    monkeypatch.setattr(lpips, lambda *_: features)
    return features


def test_lpips_is_the_sum_of_equation_1(vgg16):
    """Zhang et al., arXiv 1801.03924, with torchmetrics' weights of the layers."""
    distance = perceptual_distance("lpips")
    x, y = X, X.roll(1, 0).requires_grad_()
    expected = torch.zeros(3)
    f, g = (x - SHIFT) / SCALE, (y - SHIFT) / SCALE
    for number, layer in enumerate(vgg16):
        f, g = layer(f), layer(g)
        if number in LAYERS:
            unit = [h / (1e-8 + h.square().sum(1, keepdim=True)).sqrt() for h in (f, g)]
            weights = distance.network.lins[LAYERS.index(number)].model[-1].weight
            difference = weights * (unit[0] - unit[1]).square()
            expected = expected + difference.sum(1).mean((1, 2))
    found = distance(x, y)
    assert found.shape == (3,) and (found > 0).all()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(distance(x, x), torch.zeros(3))
    (gradient,) = torch.autograd.grad(found.sum(), y)
    assert gradient.abs().sum() > 0
    assert not any(weight.requires_grad for weight in distance.network.parameters())
