"""The folded convolution is the plain one on the doubled picture: values and gradients."""

from __future__ import annotations

import pytest
import torch

from textdiff.models.upsample import (
    folded,
    upsample_conv,
    upsample_conv_folded,
    upsample_conv_plain,
)


def results(form, dtype: torch.dtype, height: int, width: int) -> list[torch.Tensor]:
    """Output and gradients of picture, weight and bias."""
    rng = torch.Generator().manual_seed(0)
    shapes = (2, 3, height, width), (5, 3, 3, 3), (5,)
    leaves = [torch.randn(s, generator=rng, dtype=torch.float64).to(dtype) for s in shapes]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    output = form(*leaves)
    probe = torch.randn(output.shape, generator=rng, dtype=torch.float64).to(dtype)
    return [output, *torch.autograd.grad((output * probe).sum(), leaves)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (5, 3), (8, 8)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 5e-6)], ids=str
)
def test_folded_and_plain_agree(dtype, tolerance, height, width) -> None:
    plain, folded = (
        results(form, dtype, height, width) for form in (upsample_conv_plain, upsample_conv_folded)
    )
    assert plain[0].shape == (2, 5, 2 * height, 2 * width)
    for want, found in zip(plain, folded, strict=True):
        torch.testing.assert_close(
            found, want, rtol=tolerance, atol=tolerance * want.abs().max().item()
        )


def test_gradient_is_that_of_finite_differences() -> None:
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsample_conv_folded, (x, weight, bias))


def test_weights_are_added_before_they_are_rounded() -> None:
    """Under autocast the folded form is as close to fp32 as the plain one."""
    exact, *_ = results(upsample_conv_plain, torch.float64, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        plain, folded = (
            results(form, torch.float32, 8, 8)[0]
            for form in (upsample_conv_plain, upsample_conv_folded)
        )
    assert folded.dtype == plain.dtype == torch.bfloat16
    assert (folded - exact).norm() < 1.2 * (plain - exact).norm()


def test_sums_of_bf16_weights_are_rounded_once() -> None:
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(folded(weight), folded(weight.double()).bfloat16())


def test_a_cpu_takes_the_folded_form() -> None:
    chosen, folded = (
        results(f, torch.float32, 4, 4) for f in (upsample_conv, upsample_conv_folded)
    )
    assert all(torch.equal(a, b) for a, b in zip(chosen, folded, strict=True))
