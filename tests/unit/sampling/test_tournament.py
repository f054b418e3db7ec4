"""Best of N with denoisers and judges whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.exact import gaussian
from textdiff.diffusion import NoiseSchedule
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.gaussian import SAMPLERS
from textdiff.sampling import ImageNoise, resume, sample, timestep_grid
from textdiff.sampling.base import Step
from textdiff.sampling.config import most_halvings
from textdiff.sampling.tournament import (
    Round,
    best_places,
    candidates_by_step,
    plan_rounds,
    scores_given,
    tournament,
)

SCHEDULE = NoiseSchedule.cosine(100)
GRID = timestep_grid(SCHEDULE, 10)
SHAPE = (1, 2, 2)
DENOISE = gaussian(SCHEDULE, 0.3, 0.5)  # elementwise, so bits do not depend on the batch


def rule(name: str):
    return SAMPLERS[name](SamplingConfig(sampler=name), "fixed_small")


class Trajectories:
    """What `tournament` asks to draw: `num_pictures` with `best_of` candidates each."""

    def __init__(self, num_pictures: int, best_of: int, sampler: str = "ddim") -> None:
        seeds = [(0, p, j) for j in range(best_of) for p in range(num_pictures)]
        self.sampler, self.noise = rule(sampler), ImageNoise(seeds, SHAPE)
        self.evaluations = 0

    def denoise(self, x_t: Tensor, timestep: Tensor):
        self.evaluations += len(x_t)
        return DENOISE(x_t, timestep)

    def __call__(self, rows: list[int], after: Step | None):
        noise = self.noise[rows]
        settings = (self.denoise, SCHEDULE, self.sampler, GRID)
        return (
            sample(*settings, noise(), noise) if after is None else resume(*settings, after, noise)
        )


def alone(p: int, j: int, sampler: str = "ddim") -> list[Step]:
    """All steps of candidate j of picture p, drawn by itself."""
    noise = ImageNoise([(0, p, j)], SHAPE)
    return list(sample(DENOISE, SCHEDULE, rule(sampler), GRID, noise(), noise))


def brightness(step: Step) -> Tensor:
    """A score that is linear in x_t."""
    return step.x_t.mean(dim=(1, 2, 3))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_halving_the_best_of_all_is_kept_to_the_bit(sampler):
    draw = Trajectories(3, 5, sampler)
    *_, last = tournament(draw, brightness, plan_rounds(5, [], 10), 3, 5)
    for p in range(3):
        every = torch.cat([alone(p, j, sampler)[-1].x_t for j in range(5)])
        best = int(every.mean(dim=(1, 2, 3)).argmax())
        assert torch.equal(last.x_t[p], every[best])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shares", [[0.3], [0.2, 0.5], [0.2, 0.2, 0.9]], ids=str)
def test_survivors_are_chosen_as_by_hand_and_end_as_drawn_alone(sampler, shares):
    """Solvers of several steps and those that draw noise go on as if nobody else had been there."""
    drawn = [[alone(p, j, sampler) for j in range(8)] for p in range(2)]
    *_, last = tournament(Trajectories(2, 8, sampler), brightness, plan_rounds(8, shares, 10), 2, 8)
    for p in range(2):
        left = list(range(8))
        for share in [*shares, 1.0]:
            done = round(10 * share)
            rank = sorted(left, key=lambda j: -float(brightness(drawn[p][j][done - 1])))
            left = rank[: (len(left) + 1) // 2 if share < 1 else 1]
        assert torch.equal(last.x_t[p], drawn[p][left[0]][-1].x_t[0])


def test_a_judge_that_is_right_early_finds_the_best_of_all():
    """Along DDIM's paths on a Gaussian the brightest noise becomes the brightest picture."""
    early, late = (
        [*tournament(Trajectories(4, 8), brightness, plan_rounds(8, shares, 10), 4, 8)][-1].x_t
        for shares in ([0.1, 0.1, 0.1], [])
    )
    assert torch.equal(early, late)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_candidate_is_plain_sampling(sampler):
    def judge(step: Step) -> Tensor:
        raise AssertionError("there is nothing to choose")

    steps = [*tournament(Trajectories(2, 1, sampler), judge, plan_rounds(1, [], 10), 2, 1)]
    for p in range(2):
        for found, expected in zip(steps, alone(p, 0, sampler), strict=True):
            assert found.index == expected.index
            assert torch.equal(found.x_t[p : p + 1], expected.x_t)


def test_steps_are_of_the_first_candidate_and_then_of_the_leader():
    steps = [*tournament(Trajectories(1, 4), brightness, plan_rounds(4, [0.5], 10), 1, 4)]
    assert [step.index for step in steps] == list(reversed(range(10)))
    every = [alone(0, j) for j in range(4)]
    for k, step in enumerate(steps[:4]):
        assert torch.equal(step.x_t, every[0][k].x_t)
    leader = max(every, key=lambda one: float(brightness(one[4])))
    for k in range(4, 9):
        assert torch.equal(steps[k].x_t, leader[k].x_t)


def test_some_rows_of_a_step_go_on_with_their_history():
    """Of a solver that looks two predictions back; without them it would end elsewhere."""
    noise = ImageNoise([(0, p, 0) for p in range(3)], SHAPE)
    settings = (DENOISE, SCHEDULE, rule("unipc"), GRID)
    steps = list(sample(*settings, noise(), noise))
    *_, last = resume(*settings, steps[4][[2, 0]], noise[[2, 0]])
    assert torch.equal(last.x_t, steps[-1].x_t[[2, 0]])
    forgetful = steps[4][[2, 0]]
    *_, other = resume(*settings, Step(**{**vars(forgetful), "earlier": ()}), noise[[2, 0]])
    assert not torch.equal(other.x_t, last.x_t)


# counts


@given(
    best_of=st.integers(1, 40),
    shares=st.lists(st.floats(0.01, 0.99), max_size=3),
    num_pictures=st.integers(1, 3),
)
def test_evaluations_and_scores_are_counted_beforehand(best_of, shares, num_pictures):
    shares = shares[: most_halvings(best_of)]
    rounds, draw, seen = plan_rounds(best_of, shares, 10), Trajectories(num_pictures, best_of), []

    def judge(step: Step) -> Tensor:
        seen.append(len(step.x_t))
        return brightness(step)

    list(tournament(draw, judge, rounds, num_pictures, best_of))
    assert draw.evaluations == num_pictures * sum(candidates_by_step(best_of, rounds, 10))
    assert sum(seen) == num_pictures * scores_given(best_of, rounds)


def test_the_formula_of_the_cost():
    rounds = plan_rounds(8, [0.25, 0.5], 20)
    assert rounds == [Round(15, 4), Round(10, 2), Round(0, 1)]
    assert sum(candidates_by_step(8, rounds, 20)) == 8 * 5 + 4 * 5 + 2 * 10
    assert scores_given(8, rounds) == 8 + 4 + 2


def test_shares_of_one_step_halve_as_often_there():
    assert plan_rounds(8, [0.4, 0.4, 0.4], 10) == [Round(6, 1), Round(0, 1)]
    assert scores_given(8, plan_rounds(8, [0.4, 0.4, 0.4], 10)) == 8


def test_an_odd_number_keeps_the_larger_half():
    assert [each.keep for each in plan_rounds(5, [0.2, 0.4, 0.6], 10)] == [3, 2, 1, 1]


@given(st.integers(1, 1000))
def test_as_many_halvings_as_leave_one(best_of):
    left = best_of
    for _ in range(most_halvings(best_of)):
        assert left > 1
        left = math.ceil(left / 2)
    assert left == 1


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_halving_is_after_some_step_and_before_the_last(share):
    assert plan_rounds(2, [share], 3)[0].index in (1, 2)


def test_what_has_no_room():
    with pytest.raises(ValueError, match="names 3 halvings, and 4 candidates allow 2"):
        plan_rounds(4, [0.1, 0.2, 0.3], 10)
    with pytest.raises(ValueError, match="halves between steps, and there is 1 alone"):
        plan_rounds(4, [0.5], 1)


def test_places_of_the_best():
    scores = torch.tensor([[1.0, 0.0], [3.0, 0.0], [3.0, math.nan], [2.0, -1.0]])
    assert best_places(scores, 3).T.tolist() == [[1, 2, 3], [0, 1, 3]]
    assert best_places(torch.full((2, 1), math.nan), 1).tolist() == [[0]]
