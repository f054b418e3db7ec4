"""Properties of the U-Net that hold for every valid configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from tests.helpers.command import python
from tests.helpers.unets import SMALL, TEXT_DIM, TOKENS, configs, draw_inputs, trained
from textdiff.models import UNet, UNetConfig
from textdiff.types import Conditioning


@settings(max_examples=15, derandomize=True)
@given(configs())
def test_output_has_the_shape_of_the_image(config: UNetConfig) -> None:
    x_t, timestep, conditioning = draw_inputs(config)
    output = UNet(config)(x_t, timestep, conditioning)
    factor = 2 if config.learned_variance else 1
    assert output.shape == (3, factor * config.in_channels, *x_t.shape[2:])
    assert output.is_contiguous()


@settings(max_examples=15, derandomize=True)
@given(configs())
def test_a_row_of_a_batch_equals_the_row_alone(config: UNetConfig) -> None:
    unet = trained(config)
    x_t, timestep, conditioning = draw_inputs(config)
    together = unet(x_t, timestep, conditioning)
    alone = unet(x_t[1:2], timestep[1:2], conditioning[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@settings(max_examples=15, derandomize=True)
@given(configs())
def test_masked_tokens_have_no_influence(config: UNetConfig) -> None:
    unet = trained(config)
    x_t, timestep, conditioning = draw_inputs(config)
    tokens = conditioning.tokens.masked_fill(~conditioning.mask[..., None], 1e3)
    other = replace(conditioning, tokens=tokens)
    assert torch.equal(unet(x_t, timestep, conditioning), unet(x_t, timestep, other))


@settings(max_examples=15, derandomize=True)
@given(configs())
def test_gradients_reach_every_parameter(config: UNetConfig) -> None:
    unet = trained(config)
    unet(*draw_inputs(config)).square().sum().backward()
    assert [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("changed", ["tokens", "pooled", "timestep", "mask", "x_t"])
def test_each_input_changes_the_output(changed: str) -> None:
    unet = trained(SMALL)
    x_t, timestep, conditioning = draw_inputs(SMALL)
    inputs = {"x_t": x_t, "timestep": timestep, **vars(conditioning)}
    before = unet(x_t, timestep, conditioning)
    inputs[changed] = inputs[changed].flip(0)
    x_t, timestep = inputs.pop("x_t"), inputs.pop("timestep")
    assert not torch.allclose(unet(x_t, timestep, Conditioning(**inputs)), before)


def test_starts_by_predicting_zero() -> None:
    assert not UNet(SMALL)(*draw_inputs(SMALL)).any()


def test_residual_blocks_start_as_their_shortcut() -> None:
    block = UNet(SMALL).mid_block.resnets[0]
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(x, torch.randn(2, SMALL.time_dim)), x)


def test_text_changes_what_attention_adds_from_the_start() -> None:
    block = UNet(SMALL).mid_block
    x, emb = torch.randn(1, 16, 4, 4).repeat(2, 1, 1, 1), torch.randn(1, SMALL.time_dim)
    one, other = block(x, emb, torch.randn(2, TOKENS, TEXT_DIM), None)
    assert (one - other).abs().mean() > 0.01


def test_training_and_evaluation_agree_without_dropout() -> None:
    unet, inputs = trained(SMALL), draw_inputs(SMALL)
    assert torch.equal(unet.train()(*inputs), unet.eval()(*inputs))


def test_dropout_acts_in_training_alone() -> None:
    unet, inputs = trained(SMALL.model_copy(update={"dropout": 0.5})), draw_inputs(SMALL)
    plain = trained(SMALL)(*inputs)
    assert torch.equal(unet.eval()(*inputs), plain)
    assert not torch.allclose(unet.train()(*inputs), plain)


def test_patches_are_the_plain_network_on_folded_pixels() -> None:
    config = SMALL.model_copy(update={"patch_size": 2, "learned_variance": True})
    folded = config.model_copy(update={"patch_size": 1, "in_channels": 12, "image_size": 4})
    x_t, timestep, conditioning = draw_inputs(config)
    expected = trained(folded)(F.pixel_unshuffle(x_t, 2), timestep, conditioning)
    output = trained(config)(x_t, timestep, conditioning)
    torch.testing.assert_close(output, F.pixel_shuffle(expected, 2))


def test_autocast_stays_close_to_fp32() -> None:
    unet, inputs = trained(SMALL), draw_inputs(SMALL)
    exact = unet(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = unet(*inputs)
    assert (rough - exact).norm() < 0.05 * exact.norm()


def compile_into_one_graph() -> None:
    unet, inputs = trained(SMALL), draw_inputs(SMALL)
    compiled = torch.compile(unet, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs), unet(*inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_compiles_into_one_graph() -> None:
    """In a program of its own: the compiler cannot look through the checks of shapes."""
    done = python("-c", f"import {__name__} as test; test.compile_into_one_graph()")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_activation_checkpointing_changes_no_gradient(dropout: float) -> None:
    """Dropout included: the second forward pass draws the same."""
    found = []
    for checkpointed in (False, True):
        unet = trained(SMALL.model_copy(update={"dropout": dropout})).train()
        if checkpointed:
            unet.checkpoint_activations()
        torch.manual_seed(3)
        unet(*draw_inputs(SMALL)).square().sum().backward()
        found.append({name: parameter.grad for name, parameter in unet.named_parameters()})
    plain, checkpointed = found
    assert all(torch.equal(plain[name], checkpointed[name]) for name in plain)


def test_activation_checkpointing_keeps_fewer_bytes_for_the_backward_pass() -> None:
    kept = []
    for checkpointed in (False, True):
        unet = trained(SMALL)
        if checkpointed:
            unet.checkpoint_activations()
        seen: dict[int, int] = {}

        def keep(tensor: torch.Tensor, seen: dict[int, int] = seen) -> torch.Tensor:
            seen[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            unet(*draw_inputs(SMALL))
        weights = {parameter.data_ptr() for parameter in unet.parameters()}
        kept.append(sum(size for at, size in seen.items() if at not in weights))
    assert kept[1] < 0.5 * kept[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, c: (x, None), "needs conditioning"),
        (lambda x, c: (x, Conditioning(c.tokens[..., :4], c.pooled)), "4 wide; .* takes width 10"),
        (lambda x, c: (x, Conditioning(c.tokens)), "pooled feature .* missing; .* takes width 6"),
        (lambda x, c: (x, Conditioning(c.tokens, c.tokens[:, 0])), "10 wide; .* takes width 6"),
        (lambda x, c: (x[:, :2], c), "x_t has 2 channels; this U-Net takes 3"),
        (lambda x, c: (x[..., :7], c), "x_t is 8x7; .* multiples of 2"),
    ],
)
def test_refuses_what_does_not_fit(change, message: str) -> None:
    x_t, timestep, conditioning = draw_inputs(SMALL)
    x_t, conditioning = change(x_t, conditioning)
    with pytest.raises(ValueError, match=message):
        UNet(SMALL)(x_t, timestep, conditioning)
