"""The noised CLIP: it begins as the clean one, reads timesteps, and comes back from its folder."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from tests.helpers.damage import accept
from tests.helpers.host_reads import NoHostRead
from textdiff import checkpoint
from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig
from textdiff.clip.config import ClipConfig, ImageTowerConfig, TextTowerConfig
from textdiff.clip.source import Source, instantiate
from textdiff.clip.timestep import joints
from textdiff.errors import CheckpointError, UsageError

TEXT = TextTowerConfig(context_length=8, width=16, heads=2, layers=1)
TOWERS = {
    "vit": ImageTowerConfig(image_size=16, patch_size=8, width=16, heads=2, layers=2),
    "resnet": ImageTowerConfig(
        kind="resnet", image_size=32, width=4, heads=4, resnet_layers=(1, 1, 1, 1)
    ),
}
CONFIG = NoisedClipConfig(image_size=16, schedule={"name": "cosine", "num_timesteps": 10})


def clean_clip(kind: str) -> ClipModel:
    """In eval mode; a ResNet's blocks all add something (open_clip starts them at zero)."""
    clip = ClipModel.build(ClipConfig(image=TOWERS[kind], text=TEXT, embed_dim=12), seed=0)
    rng = torch.Generator().manual_seed(0)
    for module in clip.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=rng)
            nn.init.normal_(module.running_mean, std=0.1, generator=rng)
    return clip.eval()


def learned(clip: ClipModel, config: NoisedClipConfig = CONFIG) -> NoisedClip:
    """With timestep layers that say something."""
    noised = NoisedClip(clip, config)
    rng = torch.Generator().manual_seed(1)
    for parameter in noised.time.out.parameters():
        nn.init.normal_(parameter, std=0.3, generator=rng)
    return noised


@pytest.fixture(params=TOWERS)
def clip(request) -> ClipModel:
    return clean_clip(request.param)


@pytest.fixture
def noised(clip) -> NoisedClip:
    return learned(clip)


def x_t(count: int = 3, side: int = 16) -> torch.Tensor:
    return 2 * torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))


T_ALL = torch.tensor([0, 4, 9])


# Start


def test_begins_as_the_clean_clip_to_the_bit(clip):
    found = NoisedClip(clip, CONFIG).encode_image(x_t(), T_ALL)
    assert torch.equal(found, clip.encode_image(x_t()))


def test_begins_as_the_clean_clip_in_training_mode_too(clip):
    expected = clip.encode_image(x_t())
    found = NoisedClip(clip, CONFIG).train_parts(text=False).encode_image(x_t(), T_ALL)
    torch.testing.assert_close(found, expected)


def test_every_timestep_layer_learns_from_the_first_step_on(clip):
    noised = NoisedClip(clip, CONFIG)
    noised.encode_image(x_t(), T_ALL).square().sum().backward()
    for name, parameter in noised.time.out.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_timestep_layers_are_a_function_of_the_seed():
    weights = [NoisedClip(clean_clip("vit"), CONFIG, seed).time.hidden.weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_making_one_draws_no_global_random_numbers(clip):
    before = torch.random.get_rng_state()
    NoisedClip(clip, CONFIG)
    assert torch.equal(torch.random.get_rng_state(), before)


# Reading


def test_each_picture_is_read_at_its_own_timestep(noised):
    together = noised.encode_image(x_t(), T_ALL)
    for row in range(3):
        alone = noised.encode_image(x_t()[row : row + 1], T_ALL[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone)


def test_the_timestep_matters(noised):
    same = x_t(1).expand(2, -1, -1, -1)
    first, second = noised.encode_image(same, torch.tensor([0, 9]))
    assert not torch.allclose(first, second, rtol=0.01)


def test_the_clean_tower_is_left_as_it_was(noised, clip):
    before = clip.encode_image(x_t())
    noised.encode_image(x_t(), T_ALL)
    assert torch.equal(clip.encode_image(x_t()), before)


def test_no_hook_stays_when_the_tower_fails(noised, monkeypatch):
    def fails(_images):
        raise RuntimeError

    monkeypatch.setattr(noised.clip, "encode_image", fails)
    with pytest.raises(RuntimeError):
        noised.encode_image(x_t(), T_ALL)
    assert all(not joint.module._forward_hooks for joint in joints(noised.clip.model.visual))


def test_noise_is_not_clipped(noised):
    loud = 10 * x_t()
    found, cut = (noised.encode_image(x, T_ALL) for x in (loud, loud.clamp(-1, 1)))
    assert not torch.allclose(found, cut, rtol=0.01)


def test_gradient_to_x_t_without_gradients_of_weights(noised):
    noised.freeze()
    x = x_t().requires_grad_()
    (gradient,) = torch.autograd.grad(noised.encode_image(x, T_ALL).square().sum(), x)
    assert gradient.abs().amin(dim=(1, 2, 3)).shape == (3,)
    assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert not any(parameter.requires_grad for parameter in noised.parameters())


def test_gradient_to_x_t_is_the_slope():
    noised = learned(clean_clip("vit")).double().freeze()
    x = x_t(1).double().requires_grad_()
    t = torch.tensor([4])
    assert torch.autograd.gradcheck(lambda x: noised.encode_image(x, t).sum(), x, fast_mode=True)


def test_text_is_the_clean_clips(noised, clip):
    captions = ["red circle", "green cross"]
    found = noised.encode_text(noised.tokenize(captions)).projected
    assert torch.equal(found, clip.encode_text(captions).projected)


def test_features_of_text_may_be_handed_in(noised):
    tokens = noised.tokenize(["red circle", "green cross", "blue square"])
    found = noised(x_t(), T_ALL, tokens)
    given = noised(x_t(), T_ALL, noised.encode_text(tokens).projected)
    for a, b in zip(found, given, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("timestep", [-1, 10])
def test_timesteps_outside_are_refused(noised, timestep):
    with pytest.raises(ValueError, match=f"timesteps must lie in 0..9, got {timestep}"):
        noised.encode_image(x_t(), torch.tensor([0, timestep, 9]))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3, 1)])
def test_another_number_of_timesteps_is_refused(noised, shape):
    with pytest.raises(ValueError, match="3 pictures, but timestep"):
        noised.encode_image(x_t(), torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize(
    "pictures", [x_t(side=32), x_t()[:, :1], x_t().to(torch.uint8)], ids=["32x32", "grey", "uint8"]
)
def test_other_pictures_are_refused(noised, pictures):
    with pytest.raises(ValueError, match=r"reads float x_t \(B, 3, 16, 16\)"):
        noised.encode_image(pictures, T_ALL)


# Training


@pytest.mark.parametrize("text", [False, True])
def test_trained_parts(noised, text):
    noised.train_parts(text)
    trained = {name for name, parameter in noised.named_parameters() if parameter.requires_grad}
    names = {name for name, _ in noised.named_parameters()}
    image = {n for n in names if n.startswith(("clip.model.visual.", "time."))}
    assert trained == (names if text else image | {"clip.model.logit_scale"})


def test_batch_norms_keep_their_statistics():
    noised = learned(clean_clip("resnet")).train_parts(text=False)
    before = {n: b.clone() for n, b in noised.named_buffers() if "running" in n}
    noised.encode_image(x_t(), T_ALL)
    assert before
    for name, buffer in noised.named_buffers():
        assert name not in before or torch.equal(buffer, before[name])


def test_frozen_stays_so_in_a_parent_that_trains(noised):
    nn.ModuleList([noised.freeze()]).train()
    assert not any(module.training for module in noised.modules())


# Without its timestep


def test_clean_form_says_what_it_says_at_zero(noised):
    zero = torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(
        noised.clean().encode_image(x_t()), noised.encode_image(x_t(), zero), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("timestep", [0, 7])
def test_a_form_without_timestep_says_what_it_says_at_one(noised, timestep):
    expected = noised.encode_image(x_t(), torch.full((3,), timestep))
    found = noised.at(timestep).encode_image(x_t())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_clean_form_is_a_copy(noised):
    before = noised.weights_hash()
    noised.clean().model.logit_scale.data.zero_()
    assert noised.weights_hash() == before


def test_open_clip_reads_the_clean_form(tmp_path, noised):
    import open_clip

    noised.save(tmp_path)
    module, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'clean'}")
    expected = noised.clean().model.visual.state_dict()
    for name, tensor in module.visual.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_timesteps_of_a_timm_vit():
    """SigLIP's image towers come from timm."""
    import open_clip

    cfg = {
        "embed_dim": 12,
        "vision_cfg": {"timm_model_name": "test_vit", "image_size": 160},
        "text_cfg": TEXT.model_dump(),
    }
    module = instantiate(cfg, {})
    noised = learned(ClipModel(Source(module, cfg, open_clip.SimpleTokenizer())).eval())
    zero = torch.zeros(3, dtype=torch.int64)
    at_zero, later = noised.encode_image(x_t(), zero), noised.encode_image(x_t(), zero + 9)
    assert not torch.allclose(at_zero, later, rtol=0.01)
    clean = joints(noised.clip.model.visual)[0].bias + noised.time(zero[:1])[0][0]
    noised.clip.model.visual.trunk.pos_embed.data.copy_(clean)
    torch.testing.assert_close(noised.clip.encode_image(x_t()), at_zero, rtol=1e-4, atol=1e-5)


def test_a_tower_that_takes_no_timestep_is_refused(clip):
    with pytest.raises(UsageError, match=r"image tower \(Linear\); take a vision transformer"):
        joints(nn.Linear(2, 2))


# The clean tower, where it reads the first timesteps

KEPT = CONFIG.model_copy(update={"clean_below": 4})


@pytest.fixture
def kept(clip) -> NoisedClip:
    """Reads t < 4 as `clip` does; its own tower has learned something else."""
    noised = learned(copy.deepcopy(clip), KEPT)
    rng = torch.Generator().manual_seed(3)
    for parameter in noised.clip.model.visual.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=rng), alpha=0.05)
    return noised


@pytest.mark.parametrize("timestep", [0, 3])
def test_the_clean_tower_reads_the_first_timesteps_to_the_bit(kept, clip, timestep):
    found = kept.freeze().encode_image(x_t(), torch.full((3,), timestep))
    # frozen too: attention takes another kernel where weights want gradients
    assert torch.equal(found, clip.freeze().encode_image(x_t()))


def test_the_fine_tuned_tower_reads_the_others(kept, clip):
    whole = NoisedClip(kept.clip, CONFIG)
    whole.time.load_state_dict(kept.time.state_dict())
    timestep = torch.tensor([4, 5, 9])
    found = kept.encode_image(x_t(), timestep)
    assert torch.equal(found, whole.encode_image(x_t(), timestep))
    assert not torch.allclose(found, clip.encode_image(x_t()), rtol=0.01)


@pytest.mark.parametrize("timestep", [3, 4])
def test_a_form_without_timestep_is_of_the_tower_that_reads_it(kept, timestep):
    expected = kept.encode_image(x_t(), torch.full((3,), timestep))
    found = kept.at(timestep).encode_image(x_t())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_each_tower_reads_its_own_in_a_mixed_batch(kept):
    found = kept.encode_image(x_t(), torch.tensor([0, 9, 3]))
    for row, timestep in enumerate((0, 9, 3)):
        alone = kept.encode_image(x_t()[row : row + 1], torch.tensor([timestep]))
        torch.testing.assert_close(found[row : row + 1], alone)


def test_a_batch_of_one_timestep_passes_through_one_tower(kept):
    seen = []
    for name, tower in (("own", kept.clip.model.visual), ("clean", kept.clean_visual)):
        tower.register_forward_hook(lambda *_, name=name: seen.append(name))
    for timestep in (3, 4):
        kept.encode_image(x_t(), torch.full((3,), timestep))
    assert seen == ["clean", "own"]


def test_the_clean_tower_is_not_trained(kept):
    kept.train_parts(text=False)
    assert not any(parameter.requires_grad for parameter in kept.clean_visual.parameters())
    assert not any(module.training for module in kept.clean_visual.modules())
    assert kept.clip.model.visual.training


def test_with_a_clean_tower_the_clean_form_is_the_source_but_for_its_scale(kept, clip, tmp_path):
    kept.clip.model.logit_scale.data.fill_(1.5)
    kept.save(tmp_path)
    for found in (
        kept.clean(),
        NoisedClip.load(tmp_path).clean(),
        ClipModel.load(tmp_path / "clean"),
    ):
        assert found.model.logit_scale == 1.5
        found.model.logit_scale.data.copy_(clip.model.logit_scale)
        assert found.weights_hash() == clip.weights_hash()


def test_the_hash_covers_the_clean_tower(kept):
    before = kept.weights_hash()
    next(kept.clean_visual.parameters()).data.add_(1)
    assert kept.weights_hash() != before


def test_without_a_clean_tower_no_gpu_is_asked_which_timesteps_are_small(noised):
    with NoHostRead():
        noised.encode_image(x_t(), torch.tensor([0, 3, 9]))


def test_both_towers_come_back_from_their_folder(kept, tmp_path):
    kept.save(tmp_path)
    found = NoisedClip.load(tmp_path)
    assert found.config.clean_below == 4
    assert found.weights_hash() == kept.weights_hash()
    assert torch.equal(found.encode_image(x_t(), T_ALL), kept.encode_image(x_t(), T_ALL))


def test_gradient_to_x_t_through_the_clean_tower(kept, clip):
    x, y = x_t().requires_grad_(), x_t().requires_grad_()
    kept.freeze().encode_image(x, torch.zeros(3, dtype=torch.int64)).sum().backward()
    clip.freeze().encode_image(y).sum().backward()
    assert torch.equal(x.grad, y.grad)


# Folder


def test_comes_back_from_its_folder(tmp_path, noised):
    noised.save(tmp_path)
    found = NoisedClip.load(tmp_path)
    assert found.config == noised.config
    assert found.schedule_config == {"name": "cosine", "num_timesteps": 10}
    assert found.weights_hash() == noised.weights_hash()
    assert not found.training
    assert torch.equal(found.encode_image(x_t(), T_ALL), noised.encode_image(x_t(), T_ALL))


@pytest.fixture
def folder(tmp_path):
    learned(clean_clip("vit")).save(tmp_path)
    return tmp_path


def test_a_folder_without_its_config_is_none(folder):
    (folder / "noised.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"it has no noised\.yaml; give a run folder of"):
        NoisedClip.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_size: 16\n", "schedule"),
        ("image_size: 16\nschedule: {name: cosine}\n", "num_timesteps must be 1 or more.*got None"),
        ("image_size: 16\nschedule: {num_timesteps: 0}\n", "num_timesteps must be 1 or more"),
        ("image_size: 16\nschedule: {num_timesteps: 10}\nsize: 3\n", "unknown key 'size'"),
        (
            "image_size: 16\nschedule: {num_timesteps: 10}\nclean_below: 10\n",
            "clean_below 10 leaves none of the timesteps 0..9",
        ),
        ("image_size: [\n", "cannot be read as YAML"),
    ],
)
def test_a_config_that_says_something_else(folder, text, message):
    (folder / "noised.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        NoisedClip.load(accept(folder))


@pytest.mark.parametrize("change", ["lacks", "holds", "shape"])
def test_weights_that_do_not_fit(folder, change):
    path = folder / "noised_clip.safetensors"
    tensors = checkpoint.load_tensors(path)
    name = "time.hidden.weight"
    if change == "lacks":
        del tensors[name]
    elif change == "holds":
        name = "time.another"
        tensors[name] = torch.zeros(1)
    else:
        tensors[name] = torch.zeros(2, 2)
    checkpoint.save_tensors(path, tensors)
    with pytest.raises(CheckpointError, match=f"{change}.*{name}|{name}.*{change}"):
        NoisedClip.load(accept(folder))


def test_the_clean_form_may_not_be_another_clip(folder, tmp_path):
    file = folder / "clean" / "open_clip_config.json"
    config = json.loads(file.read_text())
    config["model_cfg"]["embed_dim"] = 24
    file.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="config and weights disagree"):
        NoisedClip.load(accept(folder))
