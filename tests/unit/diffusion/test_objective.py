"""Objectives: golden values and gradients, one loss per example, types under mixed precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule, Objective, ObjectiveConfig, simple_loss
from textdiff.diffusion.objective import min_snr_weight, v1_loss
from textdiff.diffusion.prediction import FROM_OUTPUT, from_eps, from_output, target

OBJECTIVES = golden("objectives")
CONVERSIONS = [case for case in OBJECTIVES["cases"] if case["id"].startswith("convert_")]
WEIGHTS = [case for case in OBJECTIVES["cases"] if case["id"].startswith("min_snr_")]
HYBRID = OBJECTIVES["by_id"]["hybrid_linear"]
PREDICTIONS = sorted(FROM_OUTPUT)
DTYPES = ["float64", "float32"]


def both(case: dict, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(case["inputs"][name], dtype=dtype) for name in ("eps", "eps_hat"))


def close(found: torch.Tensor, expected, dtype: str) -> None:
    expected = torch.tensor(expected, dtype=found.dtype)
    torch.testing.assert_close(found, expected, **OBJECTIVES["tolerance"][dtype])


def example(schedule: NoiseSchedule, timestep: list[int]) -> tuple[torch.Tensor, ...]:
    """x_0 on the grey levels, eps, x_t and timestep, float64, one picture per timestep."""
    rng = torch.Generator().manual_seed(0)
    shape, t = (len(timestep), 3, 4, 4), torch.tensor(timestep)
    x_0 = torch.randint(256, shape, generator=rng).double() / 127.5 - 1
    eps = torch.randn(shape, generator=rng, dtype=torch.float64)
    return x_0, eps, schedule.add_noise(x_0, eps, t), t


# L_simple


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_mean_over_the_batch(case, dtype):
    loss = simple_loss(*both(case, getattr(torch, dtype))).mean()
    close(loss, case["outputs"]["mse"]["eps"], dtype)


def test_golden_loss_of_each_example():
    close(simple_loss(*both(HYBRID, torch.float64)), HYBRID["outputs"]["mse"], "float64")


def test_network_in_half_precision_gives_a_float32_loss():
    eps = torch.ones(2, 3, 4, 4)
    assert simple_loss(eps, eps.bfloat16()).dtype == torch.float32


@pytest.mark.usefixtures("shapes_not_checked")
def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"target is \(2, 1\), output \(2, 2\)"):
        simple_loss(torch.ones(2, 1), torch.ones(2, 2))


# min-SNR weights


@pytest.mark.parametrize("case", WEIGHTS, ids=lambda case: case["id"])
@pytest.mark.parametrize("prediction", ["eps", "x_0", "v"])
def test_golden_min_snr_weights(case, prediction):
    inputs = case["inputs"]
    timestep = torch.tensor(inputs["timesteps"])
    like = torch.empty(len(timestep), 1, 1, 1, dtype=torch.float64)
    found = min_snr_weight(prediction, schedule_of(inputs), timestep, like, inputs["gamma"])
    close(found, case["outputs"][f"weight_{prediction}"], "float64")


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_min_snr_is_the_same_loss_whatever_is_predicted(prediction):
    """min(snr, gamma) |x_0 - x_0_hat|^2 of one and the same wrong x_0_hat."""
    schedule = NoiseSchedule.cosine(100)
    x_0, eps, x_t, timestep = example(schedule, [0, 1, 30, 98])
    wrong = x_0 + 0.1 * torch.cos(torch.arange(x_0.numel()).view_as(x_0))
    wrong_eps = (x_t - schedule.at("signal", timestep, x_t) * wrong) / schedule.at(
        "noise", timestep, x_t
    )
    output = target(prediction, schedule, wrong, wrong_eps, timestep)
    objective = Objective(ObjectiveConfig(loss="min_snr", gamma=5), prediction, schedule)
    found = objective(output, x_0, eps, x_t, timestep)["loss"]
    expected = schedule.snr[timestep].clamp(max=5) * simple_loss(x_0, wrong)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


# Version 1


V1_OUTPUTS = {"fixed_large": "v1_loss_sigma2_beta", "fixed_small": "v1_loss_sigma2_beta_tilde"}
V1_CASES = [  # beta_tilde is 0 at t = 0, so that there is no such case
    pytest.param(case, variance, id=f"{case['id']}-{variance}")
    for case in CONVERSIONS
    for variance, name in V1_OUTPUTS.items()
    if name in case["outputs"]
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "variance"), V1_CASES)
def test_golden_v1(case, variance, dtype):
    schedule = schedule_of(case["inputs"])
    kind = getattr(torch, dtype)
    x_0, x_t = (
        torch.tensor({**case["inputs"], **case["outputs"]}[key], dtype=kind)
        for key in ("x_0", "x_t")
    )
    timestep = torch.full((len(x_0),), case["inputs"]["timestep"])
    prediction = from_eps(schedule, both(case, kind)[1], x_t, timestep)
    found = v1_loss(schedule, prediction, x_0, x_t, timestep, variance).mean()
    close(found, case["outputs"][V1_OUTPUTS[variance]], dtype)


def test_v1_is_finite_where_beta_tilde_is_zero():
    schedule = NoiseSchedule.linear(10)
    x_0, _, x_t, timestep = example(schedule, [0])
    prediction = from_eps(schedule, torch.zeros_like(x_t), x_t, timestep)
    assert v1_loss(schedule, prediction, x_0, x_t, timestep, "fixed_small").isfinite().all()


# The bound in training


def hybrid(dtype: torch.dtype) -> tuple[dict, torch.Tensor]:
    """Values of the golden case, and the network's output that they came from."""
    inputs = HYBRID["inputs"]
    schedule = schedule_of(inputs)
    x_0 = torch.tensor(inputs["x_0_uint8"], dtype=dtype) * 2 / 255 - 1
    eps, eps_hat = both(HYBRID, dtype)
    raw = 2 * torch.tensor(inputs["v"], dtype=dtype) - 1
    output = torch.cat([eps_hat, raw], dim=1).requires_grad_()
    timestep = torch.tensor(inputs["timesteps"])
    config = ObjectiveConfig(loss="hybrid", vlb_weight=inputs["lam"])
    objective = Objective(config, "eps", schedule)
    values = objective(output, x_0, eps, schedule.add_noise(x_0, eps, timestep), timestep)
    return values, output


@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_hybrid(dtype):
    values, _ = hybrid(getattr(torch, dtype))
    outputs = HYBRID["outputs"]
    close(values["simple"], outputs["mse"], dtype)
    close(values["vlb"] / 1000, outputs["vb_bits"], dtype)
    close(values["loss"], outputs["hybrid_bits"], dtype)
    close(values["loss"].mean(), outputs["batch_mean_hybrid_bits"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_gradients_of_hybrid(dtype):
    """The bound reaches the variance alone, the squared error the noise alone."""
    values, output = hybrid(getattr(torch, dtype))
    values["loss"].sum().backward()
    on_eps, on_raw = output.grad.chunk(2, dim=1)
    close(on_eps, HYBRID["outputs"]["grad_eps_hat_per_sample"], dtype)
    close(2 * on_raw, HYBRID["outputs"]["grad_v_per_sample_bits"], dtype)  # v = (raw + 1) / 2


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("loss", ["simple", "min_snr", "v1", "hybrid", "vlb"])
def test_right_answer_has_no_gradient_on_the_mean(loss, prediction):
    """Each objective is least where the network says x_0: at t >= 1 its gradient vanishes there."""
    schedule = NoiseSchedule.linear(50)
    x_0, eps, x_t, timestep = example(schedule, [1, 20, 49])
    answer = target(prediction, schedule, x_0, eps, timestep)
    output = torch.cat([answer, torch.zeros_like(answer)], dim=1).requires_grad_()
    wrong = torch.cat([answer + 0.1, torch.zeros_like(answer)], dim=1).requires_grad_()
    objective = Objective(ObjectiveConfig(loss=loss), prediction, schedule)
    for given_output in (output, wrong):
        objective(given_output, x_0, eps, x_t, timestep)["loss"].sum().backward()
    at_answer, elsewhere = output.grad[:, :3].abs().max(), wrong.grad[:, :3].abs().max()
    assert at_answer <= 1e-9 * elsewhere


def test_vlb_reaches_mean_and_variance():
    schedule = NoiseSchedule.linear(50)
    x_0, eps, x_t, timestep = example(schedule, [0, 20, 49])
    output = torch.zeros(3, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    objective = Objective(ObjectiveConfig(loss="vlb"), "eps", schedule)
    objective(output, x_0, eps, x_t, timestep)["loss"].sum().backward()
    assert (output.grad.flatten(2).abs().amax(2) > 0).all()


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_vlb_without_a_learned_variance_takes_the_fixed_one(variance):
    schedule = NoiseSchedule.linear(50)
    x_0, eps, x_t, timestep = example(schedule, [20])
    objective = Objective(ObjectiveConfig(loss="vlb", variance=variance), "eps", schedule)
    found = objective(torch.zeros_like(eps), x_0, eps, x_t, timestep)["loss"]
    mean_hat, _ = schedule.posterior(
        from_eps(schedule, torch.zeros_like(eps), x_t, timestep).x_0, x_t, timestep
    )
    mean, var = schedule.posterior(x_0, x_t, timestep)
    var_hat = {"fixed_small": var, "fixed_large": schedule.at("betas", timestep, x_t)}[variance]
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(
        normal(mean, var.sqrt()), normal(mean_hat, var_hat.sqrt())
    )
    expected = 50 * kl.flatten(1).mean(1) / torch.log(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(found, expected)


def test_hybrid_of_a_network_without_a_variance_is_refused():
    schedule = NoiseSchedule.linear(50)
    x_0, eps, x_t, timestep = example(schedule, [20])
    objective = Objective(ObjectiveConfig(loss="hybrid"), "eps", schedule)
    with pytest.raises(ValueError, match="no learned variance"):
        objective(torch.zeros_like(eps), x_0, eps, x_t, timestep)


@given(st.floats(-1e4, 1e4), st.integers(0, 999), st.sampled_from(["linear", "cosine"]))
def test_learned_variance_stays_finite_whatever_the_network_says(raw, t, name):
    schedule = getattr(NoiseSchedule, name)(1000)
    x_0, eps, x_t, timestep = (tensor.float() for tensor in example(schedule, [t]))
    timestep = timestep.long()
    output = torch.cat([eps, torch.full_like(eps, raw)], dim=1).requires_grad_()
    loss = Objective(ObjectiveConfig(loss="hybrid"), "eps", schedule)(
        output, x_0, eps, x_t, timestep
    )["loss"]
    loss.sum().backward()
    assert loss.isfinite().all()
    assert output.grad.isfinite().all()


@pytest.mark.parametrize(("raw", "mistake", "direction"), [(9.0, 0.0, 1), (-9.0, 3.0, -1)])
def test_learned_variance_out_of_its_range_is_led_back(raw, mistake, direction):
    """An eps_hat that is exact wants a smaller variance than the largest, a bad one a larger."""
    schedule = NoiseSchedule.linear(50)
    x_0, eps, x_t, timestep = example(schedule, [20])
    variance = torch.full_like(eps, raw, requires_grad=True)
    output = torch.cat([eps + mistake, variance], dim=1)
    objective = Objective(ObjectiveConfig(loss="hybrid"), "eps", schedule)
    objective(output, x_0, eps, x_t, timestep)["vlb"].sum().backward()
    assert (direction * variance.grad > 0).all()


def test_far_off_mean_at_the_noisiest_step_has_a_gradient():
    """L_0 is computed for every row and kept for t = 0: it must not spoil the others."""
    schedule = NoiseSchedule.cosine(1000)
    x_0, eps, x_t, timestep = (tensor.float() for tensor in example(schedule, [999]))
    output = torch.full_like(eps, 3e3, requires_grad=True)
    objective = Objective(ObjectiveConfig(loss="vlb"), "eps", schedule)
    objective(output, x_0, eps, x_t, timestep.long())["loss"].sum().backward()
    assert output.grad.isfinite().all()


def test_output_of_two_c_channels_is_split():
    x_t = torch.ones(1, 3, 2, 2)
    output = torch.cat([x_t, torch.zeros_like(x_t)], dim=1)
    found = from_output("x_0", NoiseSchedule.linear(10), output, x_t, torch.tensor([3]))
    assert torch.equal(found.x_0, x_t)
    assert (found.variance_mix == 0.5).all()


def test_importance_goes_with_the_bound_alone():
    with pytest.raises(ValueError, match="with loss simple use uniform"):
        ObjectiveConfig(loss="simple", timesteps="importance")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timesteps": "power"}, "timesteps: power wants a power other than 1"),
        ({"power": 0.5}, "timesteps uniform and power 0.5 do not go together"),
        ({"loss": "vlb", "timesteps": "importance", "power": 2}, "importance and power 2"),
        ({"loss": "hybrid", "timesteps": "log_snr"}, "a sum over all timesteps alike"),
    ],
)
def test_timesteps_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ObjectiveConfig(**settings)


# L_simple of eps, whatever is predicted


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_eps_loss_is_that_of_the_noise(prediction):
    """The output that stands for eps + d costs d^2, be it an eps, x_0, v or mean."""
    schedule = NoiseSchedule.cosine(100)
    x_0, eps, x_t, timestep = example(schedule, [10, 50, 90])
    wrong = from_eps(schedule, eps + 0.25, x_t, timestep)
    output = target(prediction, schedule, wrong.x_0, wrong.eps, timestep)
    if prediction == "mean":
        output = schedule.posterior(wrong.x_0, x_t, timestep)[0]
    objective = Objective(ObjectiveConfig(loss="eps"), prediction, schedule)
    found = objective(output, x_0, eps, x_t, timestep)["loss"]
    torch.testing.assert_close(found, torch.full_like(found, 0.0625))


def test_eps_loss_of_a_velocity_is_its_error_times_the_signal():
    """| eps - eps_hat |^2 = alphas_cumprod | v - v_hat |^2: noisy timesteps hardly count."""
    schedule = NoiseSchedule.cosine(100)
    x_0, eps, x_t, timestep = example(schedule, [10, 50, 90])
    output = target("v", schedule, x_0, eps, timestep) + 0.5
    found = [
        Objective(ObjectiveConfig(loss=loss), "v", schedule)(output, x_0, eps, x_t, timestep)
        for loss in ("eps", "simple")
    ]
    alphas_cumprod = schedule.at("alphas_cumprod", timestep, x_0).flatten()
    torch.testing.assert_close(found[0]["loss"], alphas_cumprod * found[1]["loss"])
