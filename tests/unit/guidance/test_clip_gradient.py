"""Gradients of a CLIP: golden cases, exact distributions, autograd of the whole, what it costs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.exact import final, gaussian, no_noise, standard_normal, with_mix
from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.guidance import at_x_0, at_x_t, classifier_free, similarity
from textdiff.models import UNet, UNetConfig
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, sample, timestep_grid
from textdiff.sampling.score import score_form
from textdiff.types import Conditioning, Prediction

GUIDANCE = golden("guidance")
LINEAR, COSINE = NoiseSchedule.linear(1000), NoiseSchedule.cosine(1000)
AT_X_T = [c for c in GUIDANCE["cases"] if "eps_hat" in c["inputs"]]
AT_X_0 = [GUIDANCE["by_id"][f"clean_clip_t{t}"] for t in (100, 500)]
SCORE_SAMPLERS = [DDIM(), DDIM(0.5), DDIM(1.0), DPMSolverPP(), DPMSolverPP(sde=True), UniPC()]


def tensor(value) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def assert_golden(actual: Tensor, expected) -> None:
    torch.testing.assert_close(actual, tensor(expected), **GUIDANCE["tolerance"]["float64"])


def reward_of(inputs: dict):
    """The log-likelihood of a golden case, of pictures (B, 1, 2, 2)."""
    if "clip_direction" in inputs:
        return lambda x, timestep: (x * tensor(inputs["clip_direction"])).sum((1, 2, 3))
    if "A" in inputs:
        A, y = tensor(inputs["A"]), tensor(inputs["y"])
        return lambda x, timestep: -(x.flatten(1) @ A.T - y).square().sum(1) / 2
    W, text = tensor(inputs["W"]), tensor(inputs["text_feature"])
    return similarity(lambda x, t: F.normalize(x.flatten(1) @ W.T, dim=-1), text[None])


# golden


@pytest.mark.parametrize("case", AT_X_T, ids=[case["id"] for case in AT_X_T])
class TestGoldenAtXt:
    @staticmethod
    def guided(inputs: dict) -> tuple[Prediction, Tensor, Tensor]:
        schedule, timestep = schedule_of(inputs), torch.tensor([inputs["timestep"]])
        x_t, eps = tensor(inputs["x_t"]), tensor(inputs["eps_hat"])

        def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
            return from_eps(schedule, eps, x_t, timestep)

        said = at_x_t(denoise, reward_of(inputs), inputs["scale"])(x_t, timestep)
        return said, x_t, timestep

    def test_gradient(self, case):
        said, _, _ = self.guided(case["inputs"])
        assert_golden(said.gradient / case["inputs"]["scale"], case["outputs"]["grad"])

    def test_mean_of_the_ancestral_sampler(self, case):
        inputs = case["inputs"]
        said, x_t, _ = self.guided(inputs)
        sampler, chain = DDPM(inputs["variance"]), schedule_of(inputs)
        mean = sampler.update(x_t, [said], chain, inputs["timestep"], lambda: torch.zeros(1))
        assert_golden(mean, case["outputs"]["mean_guided"])

    def test_score_form(self, case):
        inputs, expected = case["inputs"], case["outputs"]
        said, x_t, timestep = self.guided(inputs)
        schedule = schedule_of(inputs)
        scored = score_form(said, schedule, inputs["timestep"])
        assert_golden(scored.eps, expected["eps_guided"])
        assert_golden(scored.x_0, expected["x_0_hat_guided"])
        mean, _ = schedule.posterior(scored.x_0, x_t, timestep)
        assert_golden(mean, expected["mean_from_eps_guided"])


@pytest.mark.parametrize("case", AT_X_0, ids=[case["id"] for case in AT_X_0])
@pytest.mark.parametrize("through_unet", [True, False])
def test_golden_at_x_0(case, through_unet):
    inputs, expected = case["inputs"], case["outputs"]
    schedule = schedule_of(inputs)
    exact = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    guided = at_x_0(exact, schedule, reward_of(inputs), inputs["scale"], through_unet)
    said = guided(tensor(inputs["x_t"]), torch.tensor([inputs["timestep"]]))
    name = "grad_x_t" if through_unet else "grad_x_t_eps_detached"
    assert_golden(said.gradient / inputs["scale"], expected[name])
    assert_golden(said.x_0, expected["x_0_hat"])
    if through_unet:
        scored = score_form(said, schedule, inputs["timestep"])
        assert_golden(scored.eps, expected["eps_guided"])


def test_golden_linear_reward_end_to_end():
    case = GUIDANCE["by_id"]["linear_reward_end_to_end"]
    inputs, expected = case["inputs"], case["outputs"]
    schedule, w = schedule_of(inputs), tensor(inputs["reward_w"])
    exact = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    guided = at_x_0(exact, schedule, lambda x, t: (x * w).sum((1, 2, 3)), inputs["scale"])
    grid = torch.tensor(inputs["timesteps"]).flip(0)
    steps = sample(guided, schedule, DDIM(), grid, tensor(inputs["x_T"]), no_noise)
    assert_golden(torch.stack([step.x_t for step in steps]), expected["x_next"])


# exact distributions


@pytest.mark.parametrize("sampler", SCORE_SAMPLERS, ids=str)
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_a_linear_reward_on_a_gaussian_samples_the_tilted_gaussian(sampler, schedule):
    """The guided chain is that of N(m + scale d^2 w, d^2) at every step."""
    mean, std, scale = tensor([[[[0.3, -0.2], [0.0, 0.7]]]]), 0.5, 3.0
    w = tensor([[[[0.4, -0.3], [0.2, 0.5]]]])
    guided = at_x_0(
        gaussian(schedule, mean, std), schedule, lambda x, t: (x * w).sum((1, 2, 3)), scale
    )
    tilted = gaussian(schedule, mean + scale * std**2 * w, std)
    grid, x_T = timestep_grid(schedule, 12), standard_normal((3, 1, 2, 2), seed=0)()
    found, expected = (
        final(denoise, schedule, sampler, grid, x_T, standard_normal(x_T.shape, seed=1))
        for denoise in (guided, tilted)
    )
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


MEAN, STD, WANTED, WIDTH = 0.3, 0.5, -0.9, 0.4


def noised_quadratic(schedule: NoiseSchedule):
    """log E[exp(-(x_0 - WANTED)^2 / (2 WIDTH^2)) | x_t] for x_0 ~ N(MEAN, STD^2), up to a number:
    what a perfect noised CLIP says."""

    def reward(x_t: Tensor, timestep: Tensor) -> Tensor:
        ac = schedule.at("alphas_cumprod", timestep, x_t)
        x_0 = gaussian(schedule, MEAN, STD)(x_t, timestep).x_0
        variance = STD**2 * (1 - ac) / (ac * STD**2 + 1 - ac)
        return -((x_0 - WANTED).square() / (2 * (WIDTH**2 + variance))).sum((1, 2, 3))

    return reward


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize(
    ("sampler", "num_steps"),
    [
        *((DDPM(variance), 1000) for variance in ("fixed_small", "fixed_large", "learned")),
        *((sampler, 250) for sampler in SCORE_SAMPLERS),
    ],
    ids=str,
)
def test_a_noised_quadratic_reward_samples_the_posterior(sampler, num_steps, schedule):
    precision = 1 / STD**2 + 1 / WIDTH**2
    mean, std = (MEAN / STD**2 + WANTED / WIDTH**2) / precision, precision**-0.5
    exact = with_mix(gaussian(schedule, MEAN, STD), 0.5)
    guided = at_x_t(exact, noised_quadratic(schedule), 1.0)
    count = 2500
    noise = standard_normal((count, 1, 1, 1), seed=0)
    x = final(guided, schedule, sampler, timestep_grid(schedule, num_steps), noise(), noise)
    # four standard errors, and the bias of the steps, below 2% of the unguided std
    assert float(x.mean()) == pytest.approx(mean, abs=4 * std / count**0.5 + 0.02 * STD)
    assert float(x.std()) == pytest.approx(std, abs=4 * std / (2 * count) ** 0.5 + 0.02 * STD)


# a real network


@pytest.fixture(scope="module")
def unet() -> UNet:
    torch.manual_seed(0)
    config = UNetConfig(
        image_size=8,
        block_channels=[8, 16],
        attention=[False, True],
        layers_per_block=1,
        head_dim=8,
        norm_groups=4,
        cross_attention_dim=8,
        pooled_dim=8,
    )
    unet = UNet(config).double()
    torch.nn.init.normal_(unet.conv_out.weight, std=0.1)
    return unet.eval().requires_grad_(False)


@pytest.fixture
def network(unet):
    """A Denoise of 4 rows, two prompts and two negatives, that counts its calls."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randn(4, 3, 8, generator=rng, dtype=torch.float64)
    text = Conditioning(tokens, tokens[:, 0])

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        denoise.calls += 1
        return from_eps(COSINE, unet(x_t, timestep, text[: len(x_t)]), x_t, timestep)

    denoise.calls = 0
    return denoise


def pair_of(network):
    """(conditional, unconditional) predictions of a Denoise of 2B rows."""

    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        both = network(x_t.repeat(2, 1, 1, 1), timestep.repeat(2))
        x_0, eps = both.x_0.chunk(2), both.eps.chunk(2)
        return Prediction(x_0[0], eps[0]), Prediction(x_0[1], eps[1])

    return pair


X_T = standard_normal((2, 3, 8, 8), seed=3)()
TIMESTEP = torch.tensor([600, 600])
WEIGHT = standard_normal((3 * 64, 5), seed=4)()
WHERE = F.normalize(standard_normal((2, 5), seed=5)(), dim=-1)


def encode(x: Tensor, timestep: Tensor) -> Tensor:
    noise_seen = torch.ones_like(x[:, 0, 0, :1]) * timestep[:, None] / 1000
    return F.normalize(x.flatten(1).tanh() @ WEIGHT + noise_seen, dim=-1)


REWARD = similarity(encode, WHERE, 20.0)


def test_gradient_at_x_0_is_that_of_the_whole(network):
    """With classifier-free guidance inside, against one autograd of everything."""
    with torch.no_grad():
        said = at_x_0(classifier_free(pair_of(network), 2.5), COSINE, REWARD, 1.5)(X_T, TIMESTEP)
    x = X_T.clone().requires_grad_()
    x_0 = classifier_free(pair_of(network), 2.5)(x, TIMESTEP).x_0
    (1.5 * 20 * (encode(x_0, 0 * TIMESTEP) * WHERE).sum()).backward()
    torch.testing.assert_close(said.gradient, x.grad)
    torch.testing.assert_close(said.x_0, x_0.detach())


def test_gradient_at_x_0_past_the_unet_takes_eps_for_a_constant(network):
    said = at_x_0(network, COSINE, REWARD, 1.5, through_unet=False)(X_T, TIMESTEP)
    x = X_T.clone().requires_grad_()
    x_0 = from_eps(COSINE, said.eps, x, TIMESTEP).x_0
    (1.5 * REWARD(x_0, 0 * TIMESTEP).sum()).backward()
    torch.testing.assert_close(said.gradient, x.grad)


def test_gradient_at_x_t_is_that_of_the_reward_by_finite_differences(network):
    said = at_x_t(network, REWARD, 1.5)(X_T, TIMESTEP)
    step, direction = 1e-6, standard_normal(X_T.shape, seed=6)()
    ahead, behind = (REWARD(X_T + sign * step * direction, TIMESTEP) for sign in (1, -1))
    slope = 1.5 * (ahead - behind) / (2 * step)
    torch.testing.assert_close((said.gradient * direction).sum((1, 2, 3)), slope)


@pytest.mark.parametrize("through_unet", [True, False, None])
def test_the_unet_runs_once_and_only_its_jacobian_needs_a_graph(network, through_unet):
    graphs = []

    def watched(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = network(x_t, timestep)
        graphs.append(said.eps.requires_grad)
        return said

    if through_unet is None:
        guided = at_x_t(watched, REWARD, 1.0)
    else:
        guided = at_x_0(watched, COSINE, REWARD, 1.0, through_unet)
    with torch.no_grad():
        said = guided(X_T, TIMESTEP)
    assert network.calls == 1
    assert graphs == [through_unet is True]
    assert not any(found.requires_grad for found in (said.x_0, said.eps, said.gradient))


def test_pictures_of_a_batch_do_not_see_each_other(network):
    alone = at_x_t(network, similarity(encode, WHERE[:1]), 1.0)(X_T[:1], TIMESTEP[:1])
    both = at_x_t(network, similarity(encode, WHERE), 1.0)(X_T, TIMESTEP)
    torch.testing.assert_close(both.gradient[:1], alone.gradient)


def test_learned_variance_is_handed_on():
    mixed = with_mix(gaussian(COSINE, 0.3, 0.5), 0.25)
    for guided in (at_x_t(mixed, REWARD, 1.0), at_x_0(mixed, COSINE, REWARD, 1.0)):
        assert (guided(X_T, TIMESTEP).variance_mix == 0.25).all()


def test_zero_terminal_snr_gives_no_gradient_past_the_unet():
    schedule = COSINE.with_zero_terminal_snr()
    guided = at_x_0(gaussian(schedule, 0.3, 0.5), schedule, REWARD, 1.0, through_unet=False)
    assert not guided(X_T, torch.tensor([999, 999])).gradient.any()
