"""contrastive_loss: golden values and gradients, tiles against the whole matrix, precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.contrastive import pairs, unit_features, value_and_gradients
from tests.helpers.golden import golden
from textdiff.clip import contrastive_loss
from textdiff.clip.contrastive.logit_tiles import rows_kept
from textdiff.clip.contrastive.loss import fast_tile
from textdiff.clip.contrastive.two_way_logsumexp import _is_bounded

GOLDEN = golden("contrastive")
CASES = [c for c in GOLDEN["cases"] if "image_features" in c["inputs"]]
TILED = {"tile_size": 3, "dense_logits": 0}
DENSE = {"dense_logits": 10**9}
FORMS = pytest.mark.parametrize("form", [TILED, DENSE], ids=["tiled", "dense"])


def by_the_formula(images, texts, scale) -> torch.Tensor:
    logits = scale * images @ texts.T
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


@FORMS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_golden_loss_and_gradients(case, dtype, form):
    given, expected = case["inputs"], case["outputs"]
    names = ("image_features", "text_features", "t")
    inputs = [torch.tensor(given[name], dtype=dtype) for name in names]
    found = value_and_gradients(
        lambda i, x, t: contrastive_loss(i, x, t.exp(), **form),
        *inputs,
    )
    tolerance = GOLDEN["tolerance"][str(dtype).removeprefix("torch.")]
    for name, value in zip(["loss", *(f"grad_{name}" for name in names)], found, strict=True):
        wanted = torch.tensor(expected[name], dtype=dtype)
        torch.testing.assert_close(value, wanted, **tolerance, msg=lambda m, n=name: n + m)


@FORMS
def test_golden_gradients_through_normalisation(form):
    case = GOLDEN["by_id"]["through_normalisation"]
    names = ("image_raw", "text_raw", "t")
    inputs = [torch.tensor(case["inputs"][name], dtype=torch.float64) for name in names]

    def loss(images, texts, t):
        unit = (F.normalize(rows, dim=1) for rows in (images, texts))
        return contrastive_loss(*unit, t.exp(), **form)

    found = value_and_gradients(loss, *inputs)
    for name, value in zip(["loss", *(f"grad_{name}" for name in names)], found, strict=True):
        wanted = torch.tensor(case["outputs"][name], dtype=torch.float64)
        torch.testing.assert_close(value, wanted, **GOLDEN["tolerance"]["float64"])


@given(
    rows=st.integers(1, 12),
    dim=st.integers(1, 6),
    tile_size=st.integers(1, 15),
    scale=st.floats(0.1, 100.0),
    kept=st.integers(0, 144),
)
def test_tiles_of_any_size_give_what_the_formula_does(rows, dim, tile_size, scale, kept):
    inputs = (*pairs(rows, dim), torch.tensor(scale, dtype=torch.float64))
    found = value_and_gradients(contrastive_loss, *inputs, tile_size=tile_size, dense_logits=kept)
    expected = value_and_gradients(by_the_formula, *inputs)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@FORMS
def test_gradcheck(form):
    images, texts = unit_features(4, 3, 0), unit_features(4, 3, 1)
    t = torch.tensor(1.5, dtype=torch.float64)
    inputs = tuple(x.requires_grad_() for x in (images, texts, t))
    assert torch.autograd.gradcheck(lambda i, x, t: contrastive_loss(i, x, t.exp(), **form), inputs)


@pytest.mark.parametrize("scale", [14.3, 60.0, 100.0])
@pytest.mark.parametrize(
    "form",
    [{"tile_size": 64, "dense_logits": most} for most in (0, 100 * 200, 10**9)],
    ids=["tiled", "part kept", "dense"],
)
def test_float32_is_within_1e_5_of_float64(form, scale):
    inputs = (*pairs(200, 64), torch.tensor(scale, dtype=torch.float64))
    expected = value_and_gradients(by_the_formula, *inputs)
    found = value_and_gradients(contrastive_loss, *(x.float() for x in inputs), **form)
    for value, wanted in zip(found, expected, strict=True):
        assert value.dtype == torch.float32
        assert (value - wanted).abs().max() < 1e-5 * max(1.0, wanted.abs().max())


@FORMS
@pytest.mark.parametrize("length", [1.0, 10.0], ids=["unit rows", "longer rows"])
@pytest.mark.parametrize("largest", [60.0, 61.0, 100.0])
def test_rows_far_below_others_do_not_underflow(form, largest, length):
    """Logits of the last two pairs are -`largest`: exp(-200) is 0 in float32 beside exp(100)."""
    axis = length * torch.eye(8)[0]
    images = torch.stack([axis] * 6 + [-axis] * 2)
    texts = torch.stack([axis] * 8)
    inputs = (images, texts, torch.tensor(largest / length**2))
    found = value_and_gradients(contrastive_loss, *inputs, **form)
    expected = value_and_gradients(by_the_formula, *(x.double() for x in inputs))
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-5)


@FORMS
def test_one_pair_costs_nothing(form):
    inputs = (unit_features(1, 4, 0), unit_features(1, 4, 1), torch.tensor(9.0).double())
    for value in value_and_gradients(contrastive_loss, *inputs, **form):
        assert value.abs().max() < 1e-15


def test_open_clips_loss():
    from open_clip.loss import ClipLoss

    images, texts = unit_features(8, 5, 0), unit_features(8, 5, 1)
    scale = torch.tensor(30.0, dtype=torch.float64)
    torch.testing.assert_close(
        contrastive_loss(images, texts, scale), ClipLoss()(images, texts, scale)
    )


@FORMS
def test_autocast_changes_nothing_in_either_pass(form):
    inputs = (*(unit_features(8, 5, seed, torch.float32) for seed in (0, 1)), torch.tensor(100.0))
    expected = value_and_gradients(contrastive_loss, *inputs, **form)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = value_and_gradients(contrastive_loss, *inputs, **form)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@FORMS
def test_bfloat16_features_are_multiplied_in_float32(form):
    half = [unit_features(8, 5, seed, torch.bfloat16) for seed in (0, 1)]
    scale = torch.tensor(100.0)
    value, *found = value_and_gradients(contrastive_loss, *half, scale, **form)
    exact, *expected = value_and_gradients(by_the_formula, *(x.float() for x in half), scale)
    torch.testing.assert_close(value, exact)
    assert found[0].dtype == torch.bfloat16
    torch.testing.assert_close(found[0], expected[0].bfloat16())


@FORMS
def test_backward_twice_gives_the_same_twice_and_leaves_the_inputs(form):
    images, texts, scale = (*pairs(7, 4), torch.tensor(20.0).double())
    before = images.clone(), texts.clone()
    leaves = [x.requires_grad_() for x in (images, texts, scale)]
    loss = contrastive_loss(*leaves, **form)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    again = torch.autograd.grad(loss, leaves)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    torch.testing.assert_close((images.detach(), texts.detach()), before, rtol=0, atol=0)


@FORMS
@pytest.mark.parametrize("trained", [0, 1, 2], ids=["images", "texts", "scale"])
def test_the_gradient_of_one_input_alone(trained, form):
    inputs = [*pairs(7, 4), torch.tensor(20.0).double()]
    _, *expected = value_and_gradients(by_the_formula, *inputs)
    leaf = inputs[trained].requires_grad_()
    contrastive_loss(*inputs, **form).backward()
    torch.testing.assert_close(leaf.grad, expected[trained])


def test_memory_grows_with_the_features_not_with_their_pairs():
    """No tensor saved for backward is larger than the features."""
    saved = []
    images, texts = (x.requires_grad_() for x in pairs(64, 4))

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        contrastive_loss(images, texts, torch.tensor(9.0).double(), tile_size=8, dense_logits=0)
    assert max(saved) == images.numel()


@pytest.mark.parametrize(
    ("most", "kept"), [(0, 0), (64 * 32, 0), (64 * 64 - 1, 0), (64 * 64, 64), (64 * 99, 64)]
)
def test_no_more_logits_are_kept_than_asked_for(most, kept):
    images, texts = pairs(64, 4)
    assert rows_kept(images, texts, most) == kept


@pytest.mark.usefixtures("shapes_not_checked")
def test_unpaired_features_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\) and text features \(5, 3\)"):
        contrastive_loss(unit_features(4, 3, 0), unit_features(5, 3, 1), torch.tensor(1.0))


def test_only_a_cpu_looks_whether_logits_are_bounded():
    features, scale = unit_features(4, 3, seed=0), torch.tensor(50.0)
    assert _is_bounded(features, features, scale)
    assert not _is_bounded(features, features, 2 * scale)
    elsewhere = features.to("meta")  # reading a value there is an error
    assert not _is_bounded(elsewhere, elsewhere, scale.to("meta"))


@FORMS
def test_the_local_loss_of_one_process_has_the_whole_gradient(form):
    """As open_clip's, whose `local_loss` means nothing there."""
    from open_clip import ClipLoss

    rng = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(7, 5, generator=rng).double(), dim=1) for _ in "it")
    scale = torch.tensor(9.0, dtype=torch.float64)
    found = value_and_gradients(
        lambda i, x, s: contrastive_loss(i, x, s, local=True, **form), images, texts, scale
    )
    expected = value_and_gradients(
        lambda i, x, s: ClipLoss(local_loss=True)(i, x, s), images, texts, scale
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("device", "side"), [("cpu", 512), ("cuda", 4096)])
def test_tiles_are_larger_where_launching_them_takes_the_time(device, side):
    assert fast_tile(torch.device(device)) == side
