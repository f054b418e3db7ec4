"""A U-Net with its text and timesteps bound puts out what it does without, from less work."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings

from tests.helpers.unets import SMALL, Rows, configs, draw_inputs, trained
from textdiff.models import UNet, UNetConfig
from textdiff.models.bound import BoundText, DeepCache
from textdiff.types import Conditioning

GRID = torch.tensor([3, 10, 400, 700, 999])
NEAR = {"rtol": 1e-4, "atol": 1e-5}  # fp32, sums split differently
PLAIN = SMALL.model_copy(update={"pooled_dim": None, "attention": (False, True)})


def at(timestep: int, rows: int) -> torch.Tensor:
    return torch.full((rows,), timestep)


def bound_of(unet: UNet, rows: int = 3) -> tuple[torch.Tensor, Conditioning, BoundText]:
    """Pictures, their conditioning, and the same bound."""
    x_t, _, conditioning = draw_inputs(unet.config, rows)
    return x_t, conditioning, unet.bind(conditioning, GRID)


@pytest.mark.slow
@settings(max_examples=15, derandomize=True)
@given(configs())
def test_bound_text_gives_the_same_output(config: UNetConfig) -> None:
    unet = trained(config)
    x_t, conditioning, bound = bound_of(unet)
    for timestep in (999, 10):
        expected = unet(x_t, at(timestep, 3), conditioning)
        torch.testing.assert_close(unet(x_t, at(timestep, 3), bound), expected, **NEAR)


@pytest.mark.slow
@settings(max_examples=15, derandomize=True)
@given(configs())
def test_pictures_with_two_texts_each_give_the_same_output(config: UNetConfig) -> None:
    unet = trained(config)
    x_t, conditioning, bound = bound_of(unet, rows=4)
    expected = unet(x_t[:2].repeat(2, 1, 1, 1), at(400, 4), conditioning)
    torch.testing.assert_close(unet(x_t[:2], at(400, 2), bound), expected, **NEAR)


@pytest.mark.parametrize(
    ("change", "rows"),
    [({}, 2), ({"pooled_dim": 6}, 4), ({"attention": (True, True)}, 4)],
    ids=["no text at the first level", "text beside the timestep", "text at the first level"],
)
def test_a_picture_is_computed_once_until_text_enters(change: dict, rows: int) -> None:
    unet = trained(PLAIN.model_copy(update=change))
    x_t, _, bound = bound_of(unet, rows=4)
    first, second = Rows(unet.conv_in), Rows(unet.down_blocks[1].resnets[0])
    unet(x_t[:2], at(400, 2), bound)
    assert (first.seen, second.seen) == ([rows], [4])


def test_text_and_timesteps_are_projected_once() -> None:
    unet = trained(SMALL)
    layers = [unet.time_embedding.linear_1, unet.class_embedding]
    layers += [unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k]
    counts = [Rows(layer) for layer in layers]
    x_t, _, bound = bound_of(unet)
    for timestep in GRID.tolist():
        unet(x_t, at(timestep, 3), bound)
    assert [count.seen for count in counts] == [[len(GRID)], [3], [3]]


def test_padding_of_all_rows_is_left_out() -> None:
    """Rows of 2 and 3 tokens, of 5."""
    unet = trained(SMALL)
    x_t, conditioning, _ = bound_of(unet, rows=2)
    bound = unet.bind(conditioning, GRID)
    assert {(k.shape[2], v.shape[2]) for k, v in bound.keys_values.values()} == {(3, 3)}
    assert bound.mask.shape == (2, 1, 1, 3)
    expected = unet(x_t, at(3, 2), conditioning)
    torch.testing.assert_close(unet(x_t, at(3, 2), bound), expected, **NEAR)


def test_text_without_a_mask_is_all_real() -> None:
    unet = trained(SMALL)
    x_t, conditioning, _ = bound_of(unet)
    text = Conditioning(conditioning.tokens, conditioning.pooled)
    expected = unet(x_t, at(3, 3), text)
    torch.testing.assert_close(unet(x_t, at(3, 3), unet.bind(text, GRID)), expected, **NEAR)


def test_rows_are_picked_in_any_order() -> None:
    unet = trained(SMALL)
    x_t, conditioning, bound = bound_of(unet)
    rows = [2, 0, 2]
    expected = unet(x_t, at(3, 3), conditioning[rows])
    torch.testing.assert_close(unet(x_t, at(3, 3), bound[rows]), expected, **NEAR)


def test_gradient_of_the_pictures_is_the_same() -> None:
    unet = trained(PLAIN)
    x_t, conditioning, bound = bound_of(unet, rows=4)
    x = x_t[:2].clone().requires_grad_(True)
    gradients = [
        torch.autograd.grad(unet(rows, at(400, len(rows)), text).square().sum(), x)[0]
        for rows, text in ((x.repeat(2, 1, 1, 1), conditioning), (x, bound))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


def test_text_that_does_not_fit_is_refused_when_bound() -> None:
    with pytest.raises(ValueError, match="4 wide; this U-Net takes width 10"):
        trained(PLAIN).bind(Conditioning(torch.zeros(1, 2, 4)), GRID)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize(
    ("timestep", "expected"),
    [
        ([11, 11], "timestep 11 was not bound; bound are 3, 10, 400, 700, 999"),
        ([1000, 1000], "timestep 1000 was not bound"),
        ([3, 10], r"timesteps \[3, 10\] in one call"),
    ],
)
def test_a_timestep_that_was_not_bound_is_refused(
    timestep: list, expected: str, every: int
) -> None:
    unet = trained(PLAIN)
    x_t, _, bound = bound_of(unet, rows=2)
    with pytest.raises(ValueError, match=expected):
        unet(x_t, torch.tensor(timestep), bound.reusing(every))


def test_no_gradient_reaches_bound_text() -> None:
    unet = trained(SMALL)
    x_t, conditioning, _ = bound_of(unet)
    conditioning.tokens.requires_grad_()
    unet(x_t, at(10, 3), unet.bind(conditioning, GRID)).sum().backward()
    assert conditioning.tokens.grad is None
    assert unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight.grad is None
    assert unet.conv_in.weight.grad.any()


# The deeper levels, kept


def test_deeper_levels_run_at_every_kth_step() -> None:
    unet = trained(PLAIN)
    x_t, _, bound = bound_of(unet)
    shallow, deep = Rows(unet.down_blocks[0].resnets[0]), Rows(unet.mid_block)
    bound = bound.reusing(2)
    for timestep in reversed(GRID.tolist()):
        unet(x_t, at(timestep, 3), bound)
    assert (shallow.seen, deep.seen) == ([3] * 5, [3] * 3)


def test_every_step_is_a_full_one_at_1() -> None:
    _, _, bound = bound_of(trained(PLAIN))
    assert bound.reusing(1).deep is None


def test_error_of_a_reused_step_falls_with_how_far_the_pictures_moved() -> None:
    unet = trained(PLAIN)
    torch.nn.init.zeros_(unet.time_embedding.linear_2.weight)  # timesteps make no difference
    x_t, conditioning, _ = bound_of(unet)
    exact = unet(x_t, at(10, 3), conditioning)
    errors = []
    for distance in (1.0, 0.1, 0.01):
        bound = unet.bind(conditioning, GRID).reusing(2)
        unet(x_t + distance, at(400, 3), bound)
        errors.append((unet(x_t, at(10, 3), bound) - exact).norm() / exact.norm())
    assert 0.5 > errors[0] > 5 * errors[1] > 25 * errors[2] > 0


@pytest.mark.parametrize(
    ("order", "full"),
    [
        ([999, 700, 400, 10, 3], [999, 400, 3]),
        ([999, 400, 10], [999, 400]),  # 700 was another network's, so 400 comes too late
        ([999, 999, 700], [999, 999]),  # not later than the full one
        ([700, 999], [700, 999]),  # a new run from the top
    ],
)
def test_only_successors_of_a_full_step_reuse_it(order: list[int], full: list[int]) -> None:
    cache, ran = DeepCache(every=2), []

    def run(timestep: int) -> torch.Tensor:
        ran.append(timestep)
        return torch.tensor(float(timestep))

    for timestep in order:
        cache(GRID.tolist().index(timestep), partial(run, timestep))
    assert ran == full


def test_nothing_kept_is_shared_between_runs() -> None:
    """A second run, rows picked from a bound text, and a text bound anew all start in full."""
    unet = trained(PLAIN)
    x_t, conditioning, bound = bound_of(unet)
    used = bound.reusing(2)
    unet(x_t, at(999, 3), used)
    expected = unet(x_t.flip(0), at(700, 3), conditioning)
    for fresh in (used.reusing(2), used[0:3], unet.bind(conditioning, GRID).reusing(2)):
        torch.testing.assert_close(unet(x_t.flip(0), at(700, 3), fresh), expected, **NEAR)


def test_what_is_kept_holds_no_graph() -> None:
    unet = trained(PLAIN)
    x_t, _, bound = bound_of(unet)
    bound = bound.reusing(2)
    for timestep in (999, 700):  # a second backward pass would fail if the first's were kept
        x = x_t.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(unet(x, at(timestep, 3), bound).sum(), x)
        assert gradient.any()
    assert not bound.deep.kept[1].requires_grad
