"""The diffusion prior: exact numbers of its objective, diffusers' network, what is bound."""

from __future__ import annotations

import pytest
import torch
from diffusers import PriorTransformer

from tests.helpers.golden import golden, schedule_of
from tests.helpers.priors import captions, diffusion_prior
from textdiff.diffusion.objective import simple_loss
from textdiff.diffusion.prediction import from_x_0
from textdiff.types import Conditioning

GOLDEN = golden("unclip")
X = torch.randn(3, 6, generator=torch.Generator().manual_seed(2))
TIMESTEP = torch.tensor([0, 500, 999])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_loss_and_posterior_of_scaled_embeddings(dtype):
    case = GOLDEN["by_id"]["diffusion_prior"]
    schedule, kind = schedule_of(case["inputs"]), getattr(torch, dtype)
    z_i, eps, z_i_hat = (
        torch.tensor(case["inputs"][name], dtype=kind) for name in ("z_i", "eps", "z_i_hat")
    )
    timestep = torch.full((2,), case["inputs"]["timestep"])
    z_t = schedule.add_noise(z_i, eps, timestep)
    loss = simple_loss(z_i, z_i_hat)
    found = {
        "z_t": z_t,
        "squared_norm": loss * z_i.shape[1],
        "loss_mse_mean": loss.mean(),
        "eps_hat": from_x_0(schedule, z_i_hat, z_t, timestep).eps,
        "posterior_mean": schedule.posterior(z_i_hat, z_t, timestep)[0],
    }
    assert found.keys() == case["outputs"].keys()
    for name, value in found.items():
        wanted = torch.tensor(case["outputs"][name], dtype=kind)
        torch.testing.assert_close(value, wanted, **GOLDEN["tolerance"][dtype])


def test_unit_embeddings_are_scaled_to_mean_square_one():
    prior = diffusion_prior()
    unit = torch.nn.functional.normalize(X, dim=1)
    assert prior.scaled(unit).square().mean(1).tolist() == pytest.approx([1, 1, 1])
    torch.testing.assert_close(prior.unscaled(prior.scaled(unit)), unit)


@pytest.mark.parametrize("length", [3, 5])
def test_it_is_the_network_of_diffusers(length):
    """Which takes captions of the whole context, padding masked."""
    ours, text = diffusion_prior(), captions(3, length)
    theirs = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        embedding_dim=6,
        num_embeddings=5,
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    missing = 5 - length
    expected = theirs(
        X,
        timestep=TIMESTEP,
        proj_embedding=text.pooled,
        encoder_hidden_states=torch.nn.functional.pad(text.tokens, (0, 0, 0, missing)),
        attention_mask=torch.nn.functional.pad(text.mask, (0, missing)),
    ).predicted_image_embedding
    torch.testing.assert_close(ours(X, TIMESTEP, text), expected, rtol=1e-4, atol=1e-5)


def test_bound_captions_give_the_same():
    prior, text = diffusion_prior(), captions(3)
    bound = prior.bind(text)
    torch.testing.assert_close(prior(X, TIMESTEP, bound), prior(X, TIMESTEP, text))
    torch.testing.assert_close(
        prior(X[[1, 1]], TIMESTEP[[1, 0]], bound[[1, 2]]),
        prior(X[[1, 1]], TIMESTEP[[1, 0]], text[[1, 2]]),
    )


def test_every_part_of_the_input_counts():
    prior, text = diffusion_prior(), captions(3)
    said = prior(X, TIMESTEP, text)
    others = [
        prior(X + 1, TIMESTEP, text),
        prior(X, TIMESTEP // 2 + 100, text),
        prior(X, TIMESTEP, Conditioning(text.tokens + 1, text.pooled, text.mask)),
        prior(X, TIMESTEP, Conditioning(text.tokens, text.pooled + 1, text.mask)),
        prior(X, TIMESTEP, Conditioning(text.tokens, text.pooled, torch.ones_like(text.mask))),
    ]
    assert [bool(torch.allclose(said, other, atol=1e-4)) for other in others] == [False] * 5


def without_pooled() -> Conditioning:
    text = captions(3)
    return Conditioning(text.tokens, None, text.mask)


@pytest.mark.parametrize(
    "text", [captions(3, width=7), captions(3, dim=7), captions(3, length=6), without_pooled()]
)
def test_conditioning_of_another_clip_is_refused(text):
    with pytest.raises(ValueError, match="this network takes up to 5 of 6, and 6"):
        diffusion_prior()(X, TIMESTEP, text)
