"""An exported prior draws what ours draws, by the lines of its README."""

from __future__ import annotations

import re

import pytest
import torch
from diffusers.schedulers import scheduling_unclip

from tests.helpers.diffusers_noise import noise_of
from textdiff.clip.config import ClipConfig
from textdiff.clip.model import ClipModel
from textdiff.diffusion.config import ScheduleConfig
from textdiff.errors import UsageError
from textdiff.interop import prior_to_diffusers
from textdiff.models.prior_config import CodesConfig, TransformerConfig
from textdiff.pipeline.prior import Prior, PriorConfig, PriorSampling
from textdiff.pipeline.prior.prior import build_network
from textdiff.pipeline.prior.space import space_of

PROMPTS = ["a red circle", "two green squares and a cross"]


def prior(embed_dim: int = 32, **changes) -> Prior:
    image = {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1}
    text = {"context_length": 12, "width": 32, "heads": 2, "layers": 1}
    clip = ClipModel.build(ClipConfig(image=image, text=text, embed_dim=embed_dim), seed=0)
    usual = {
        "kind": "diffusion",
        "clip": "clip",
        "space": space_of(clip),
        "text_width": 32,
        "context_length": 12,
        "transformer": TransformerConfig(width=16, heads=2, layers=2),
        "codes": CodesConfig(num_components=4, num_buckets=4),
    }
    config = PriorConfig(**{**usual, **changes})
    torch.manual_seed(0)
    network = build_network(config)
    for weight in network.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.2)
    return Prior(network, clip, config).freeze()


def test_the_lines_of_the_readme_draw_the_same(tmp_path, monkeypatch):
    ours = prior()
    prior_to_diffusers(ours, tmp_path / "out")
    (code,) = re.findall(
        r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.DOTALL
    )
    lines: dict = {}
    exec(code, lines)
    count, dim, steps = len(PROMPTS), 32, 7
    noise = noise_of(count, (dim,), seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", lambda *shape: noise())
        patch.setattr(scheduling_unclip, "randn_tensor", lambda *args, **more: noise())
        drawn = lines["draw"](PROMPTS, num_steps=steps)

    config = PriorSampling(num_steps=steps, spacing="linspace", sampler="ddpm")
    conditioning = ours.clip.conditioning([*PROMPTS, ""])
    expected = ours.draw(conditioning, [(3, k) for k in range(count)], config)
    torch.testing.assert_close(drawn, expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)


def test_a_saved_folder_loads_and_draws_the_same(tmp_path):
    ours = prior()
    ours.save(tmp_path / "saved")
    again = Prior.load(tmp_path / "saved")
    settings = {"num_steps": 3, "seed": 1}
    assert torch.equal(again(PROMPTS, **settings), ours(PROMPTS, **settings))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "autoregressive"}, "kind autoregressive has no class in diffusers"),
        ({"embed_dim": 24}, "token features are 32 wide, its embeddings 24"),
        ({"schedule": ScheduleConfig(name="linear")}, "UnCLIPScheduler has the cosine one alone"),
    ],
)
def test_what_diffusers_has_not(tmp_path, changes, said):
    with pytest.raises(UsageError, match=said):
        prior_to_diffusers(prior(**changes), tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()
