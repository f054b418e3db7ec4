"""KID and CMMD: no bias, groups, resamples, intervals, and tiles that change nothing."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.metrics import cmmd, cmmd_estimate, kernel_sums, kid, kid_estimate
from textdiff.metrics.bootstrap import count_draws, resample
from textdiff.metrics.kernel_distance import kid_of_resamples


def test_golden_kid_of_a_set_with_itself():
    case = golden("frechet_kid_cmmd")["by_id"]["kid"]
    x = torch.tensor(case["inputs"]["x"]).double()
    assert kid(x, x) == pytest.approx(case["outputs"]["kid_unbiased_same_set"], rel=1e-7)


def test_cmmd_does_not_look_at_length():
    x, y = torch.rand(5, 3), torch.rand(4, 3)
    assert cmmd(x * 3, y) == pytest.approx(cmmd(x, y), abs=1e-4)


def test_kid_is_not_biased():
    """Over many pairs of sets from one distribution its mean is 0; the biased one's is not."""
    rng = torch.Generator().manual_seed(0)
    values = torch.tensor(
        [kid(*torch.randn(2, 8, 3, generator=rng)) for _ in range(400)], dtype=torch.float64
    )
    assert abs(values.mean()) < 3 * values.std() / len(values) ** 0.5


@pytest.mark.parametrize("counted", [False, True], ids=["estimate", "resamples"])
def test_several_pictures_of_a_prompt_do_not_bias_it(counted):
    """16 prompts with 4 pictures each, 70% of the variance between prompts, from the distribution
    that the real pictures are of: over many such sets the mean is the true 0. Pairs of pictures of
    one prompt made it +0.2."""
    rng = torch.Generator().manual_seed(0)
    values = []
    for _ in range(400):
        prompts = torch.randn(16, 3, generator=rng, dtype=torch.float64) * 0.7**0.5
        own = torch.randn(64, 3, generator=rng, dtype=torch.float64) * 0.3**0.5
        x = prompts.repeat_interleave(4, dim=0) + own
        y = torch.randn(64, 3, generator=rng, dtype=torch.float64)
        if counted:
            draws = [torch.randint(n, (1, n), generator=rng) for n in (16, 64)]
            counts = [
                torch.nn.functional.one_hot(draw, n).sum(dim=1)
                for draw, n in zip(draws, (16, 64), strict=True)
            ]
            values.append(kid_of_resamples(x, y, *counts, group=4).item())
        else:
            values.append(kid(x, y, 4))
    found = torch.tensor(values)
    assert abs(found.mean()) < 3 * found.std() / len(found) ** 0.5
    assert found.std() / len(found) ** 0.5 < 0.03


def test_rows_that_are_not_whole_groups_are_refused():
    with pytest.raises(ValueError, match="7 rows in groups of 3"):
        kid(torch.rand(7, 3), torch.rand(4, 3), 3)
    with pytest.raises(ValueError, match="two groups or more"):
        kid(torch.rand(4, 3), torch.rand(4, 3), 4)


def test_resamples_without_repeats_are_subsets():
    x, y = torch.randn(6, 3), torch.randn(5, 3)
    counts_x = torch.tensor([[1, 1, 0, 1, 0, 1], [1] * 6])
    counts_y = torch.tensor([[0, 1, 1, 1, 0], [1] * 5])
    expected = [kid(x[[0, 1, 3, 5]], y[[1, 2, 3]]), kid(x, y)]
    found = kid_of_resamples(x, y, counts_x, counts_y)
    assert found.tolist() == pytest.approx(expected)


def test_resamples_are_centred_on_the_estimate():
    """Pairs of a row with its own repeat would move them up."""
    rng = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 3, generator=rng), torch.randn(15, 3, generator=rng)
    draws = [torch.randint(n, (20000, n), generator=rng) for n in (12, 15)]
    counts = [torch.nn.functional.one_hot(draw).sum(dim=1) for draw in draws]
    values = kid_of_resamples(x, y, *counts)
    assert values.mean().item() == pytest.approx(kid(x, y), abs=0.05 * values.std().item())


def test_groups_drawn_once_are_all_their_rows():
    x, y = torch.randn(6, 3), torch.randn(5, 3)
    counts = torch.tensor([[1, 1, 1], [1, 0, 1]]), torch.ones(2, 5)
    expected = [kid(x, y, 2), kid(x[[0, 1, 4, 5]], y, 2)]
    assert kid_of_resamples(x, y, *counts, group=2).tolist() == pytest.approx(expected)


def test_resamples_of_groups_are_centred_on_the_estimate():
    """Pairs of a group with its own repeat would move them up, the more so as rows of a group are
    alike."""
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(12, 3, generator=rng).repeat_interleave(3, dim=0)
    x, y = x + torch.randn(36, 3, generator=rng) / 9, torch.randn(15, 3, generator=rng)
    draws = [torch.randint(n, (20000, n), generator=rng) for n in (12, 15)]
    counts = [torch.nn.functional.one_hot(draw).sum(dim=1) for draw in draws]
    values = kid_of_resamples(x, y, *counts, group=3)
    assert values.mean().item() == pytest.approx(kid(x, y, 3), abs=0.05 * values.std().item())


# Tiles and bundles


def sets(n: int, m: int, dim: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of distributions that differ."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(rows, dim, generator=rng, dtype=torch.float64) for rows in (n, m))
    return x + 0.3, y


@pytest.fixture
def small_tiles(monkeypatch):
    """Several tiles on each side, the last ones smaller."""
    monkeypatch.setattr(kernel_sums, "TILE", 7)


@pytest.mark.parametrize("metric", [kid, cmmd])
def test_tiles_change_nothing(metric, small_tiles, monkeypatch):
    x, y = sets(45, 38)
    tiled = metric(x, y)
    monkeypatch.setattr(kernel_sums, "TILE", 1000)
    assert tiled == pytest.approx(metric(x, y), rel=1e-12)


def test_kid_of_groups_in_tiles_is_that_of_pairs_one_by_one(small_tiles):
    x, y = sets(12, 5, dim=3)
    k = lambda a, b: (float(a @ b) / 3 + 1) ** 3  # noqa: E731
    apart = [k(x[i], x[j]) for i in range(12) for j in range(12) if i // 3 != j // 3]
    real = [k(y[i], y[j]) for i in range(5) for j in range(5) if i != j]
    cross = [k(a, b) for a in x for b in y]
    expected = sum(apart) / len(apart) + sum(real) / len(real) - 2 * sum(cross) / len(cross)
    assert kid(x, y, 3) == pytest.approx(expected, rel=1e-12)


def test_cmmd_is_that_of_pairs_one_by_one(small_tiles):
    x, y = (torch.nn.functional.normalize(rows, dim=1) for rows in sets(10, 9))

    def mean(a, b):
        return (-torch.cdist(a, b).square() / 200).exp().mean().item()

    expected = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert cmmd(x, y) == pytest.approx(expected, rel=1e-9)


def test_resamples_in_tiles_are_those_of_one_tile(small_tiles, monkeypatch):
    x, y = sets(30, 23)
    counts = count_draws(resample(10, 50)), count_draws(resample(23, 50))
    tiled = kid_of_resamples(x, y, *counts, group=3)
    monkeypatch.setattr(kernel_sums, "TILE", 1000)
    torch.testing.assert_close(tiled, kid_of_resamples(x, y, *counts, group=3))


@pytest.mark.parametrize("metric", [kid, cmmd])
def test_float32_products_are_float64s_to_a_millionth(metric, monkeypatch):
    """Of unit features that share a mean, as those of CLIP do: cosines of about 0.5."""
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(700, 64, generator=rng) + 1 for _ in range(2))
    x = torch.nn.functional.normalize(x + 0.1 * torch.randn(64, generator=rng), dim=1) * 8
    y = torch.nn.functional.normalize(y, dim=1) * 8
    exact = metric(x, y)
    monkeypatch.setattr(kernel_sums, "EXACT_PAIRS", 0)
    assert metric(x, y) != exact
    assert metric(x, y) == pytest.approx(exact, rel=1e-6)
    assert metric(x.double(), y.double()) == exact


# Intervals

ESTIMATES = {"KID": (kid, kid_estimate), "CMMD": (cmmd, cmmd_estimate)}


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimate_holds_the_number(name):
    metric, estimated = ESTIMATES[name]
    x, y = sets(60, 50)
    found = estimated(x, y, resamples=100)
    assert found.value == pytest.approx(metric(x, y), rel=1e-12)
    assert found.low < found.value < found.high
    assert found.resamples == 100


@pytest.mark.parametrize("bundled", [False, True])
@pytest.mark.parametrize("name", ESTIMATES)
def test_spread_is_that_of_fresh_sets(name, bundled, monkeypatch):
    """Of the numbers of 300 other pairs of sets from the same distributions; bundles of rows are
    as good as single ones."""
    metric, estimated = ESTIMATES[name]
    fresh = torch.tensor([metric(*sets(60, 80, seed=seed)) for seed in range(1, 301)]).double()
    if bundled:
        monkeypatch.setattr(kernel_sums, "UNITS", 25)
    estimates = [estimated(*sets(60, 80, seed=seed), resamples=300) for seed in range(12)]
    errors = torch.tensor([each.std_error for each in estimates]).double()
    assert errors.mean().item() == pytest.approx(fresh.std().item(), rel=0.2)
    offsets = torch.tensor([(e.low + e.high) / 2 - e.value for e in estimates])
    assert abs(offsets.mean().item()) < 0.3 * fresh.std().item()


def test_groups_are_resampled_whole():
    """Four copies of each drawn picture tell no more than one."""
    x, y = sets(40, 60)
    single = kid_estimate(x, y)
    copies = kid_estimate(x.repeat_interleave(4, dim=0), y, group=4)
    assert copies.value == pytest.approx(single.value)
    assert copies.std_error == pytest.approx(single.std_error)


def test_bundles_are_of_groups_and_the_last_may_be_smaller(monkeypatch):
    monkeypatch.setattr(kernel_sums, "UNITS", 4)
    x, y = sets(22, 9)
    bundled = kernel_sums.Counted.bundled(x, 2, 5, ("a",))
    assert (bundled.unit, bundled.group, bundled.counts.shape) == (6, 2, (5, 4))
    assert bundled.sizes.tolist() == [6, 6, 6, 4]
    pairs = {tuple(map(tuple, pair)) for pair in x.view(-1, 2, 8).tolist()}
    assert {tuple(map(tuple, pair)) for pair in bundled.rows.view(-1, 2, 8).tolist()} == pairs
    value = kid(x, y, 2)
    monkeypatch.setattr(kernel_sums, "UNITS", 1000)
    assert value == pytest.approx(kid(x, y, 2), rel=1e-12)
