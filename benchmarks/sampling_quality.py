"""The cheapest settings of two sides that come as near to a long DDIM run as a shorter one does.

    reference(seed)   our DDIM of many steps
    allowed(seed)     RMSE to it of diffusers' DDIM with the usual steps
    search            for each solver and grid the fewest steps with RMSE <= allowed, of one seed;
                      then the kind with the fewest steps made rougher, which may take more of them
    finalists         the three of each side that took the least time in the search
    confirmation      their RMSE over seeds that the search did not see, beside what is allowed

Both sides have the same search; each searches what it has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rounds import in_turn, ratio, rmse, shown, spread, table
from torch import Tensor

STEPS = (6, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30, 40)
FINALISTS = 3
DDIM = "diffusers, DDIM"


@dataclass(frozen=True)
class Side:
    """draw(num_steps=, seed=, **settings): pictures (B, C, H, W) uint8.

    kinds: settings to search. rougher: settings added to the best of them.
    """

    name: str
    draw: Callable[..., Tensor]
    kinds: Sequence[dict]
    rougher: Sequence[dict]


@dataclass(frozen=True)
class Goal:
    """To be no further from `reference` than `allowed`, an RMSE, with the noise of `seed`."""

    seed: int
    reference: Tensor
    allowed: float

    @classmethod
    def of(cls, seed: int, ours: Side, theirs: Side, steps: int, reference_steps: int) -> Goal:
        reference = ours.draw(num_steps=reference_steps, seed=seed)
        return cls(seed, reference, rmse(theirs.draw(num_steps=steps, seed=seed), reference))

    def distance(self, side: Side, settings: dict) -> float:
        return rmse(side.draw(**settings, seed=self.seed), self.reference)


def same_quality(
    ours: Side, theirs: Side, steps: int, reference_steps: int, other_seeds: int, rounds: int
) -> dict:
    """The finalists of both sides: RMSE in the search and over `other_seeds` seeds, milliseconds
    per picture, how many times as fast as diffusers' DDIM and as the best of diffusers, which is
    the fastest of its finalists that other seeds confirm (DDIM if they confirm none)."""
    goal, *others = (
        Goal.of(seed, ours, theirs, steps, reference_steps) for seed in range(1 + other_seeds)
    )
    searched = {side.name: as_near(side, goal) for side in (theirs, ours)}
    finalists = [
        {"side": side.name, **row, **confirmed(side, row["settings"], others)}
        for side in (theirs, ours)
        for row in sorted(searched[side.name], key=lambda row: row["seconds_once"])[:FINALISTS]
    ]
    sides = {side.name: side for side in (theirs, ours)}
    draws = {DDIM: lambda: theirs.draw(num_steps=steps)}
    for row in finalists:
        draws[name_of(row)] = lambda row=row: sides[row["side"]].draw(**row["settings"])
    _, seconds = in_turn(draws, rounds)
    for row in finalists:
        row["ms"] = spread([1e3 * value for value in seconds[name_of(row)]])
    best = best_of(theirs.name, finalists)
    for row in finalists:
        row["ratio_to_ddim"] = ratio(seconds[DDIM], seconds[name_of(row)])
        row["ratio_to_best"] = ratio(seconds[best], seconds[name_of(row)])
    ddim = {
        "rmse": goal.allowed,
        "rmse_other_seeds": pooled([other.allowed for other in others]),
        "ms": spread([1e3 * value for value in seconds[DDIM]]),
        "ratio_to_best": ratio(seconds[best], seconds[DDIM]),
    }
    return {"ddim": ddim, "best_of_diffusers": best, "finalists": finalists, "all": searched}


def as_near(side: Side, goal: Goal) -> list[dict]:
    """What the search finds: settings, their RMSE, and seconds per picture of a single draw."""
    plain = [row for kind in side.kinds if (row := fewest_steps(side, kind, goal))]
    if not plain:
        return []
    best = min(plain, key=lambda row: row["settings"]["num_steps"])["settings"]
    rough = (
        fewest_steps(side, {**best, **rougher}, goal, best["num_steps"]) for rougher in side.rougher
    )
    return plain + [row for row in rough if row]


def fewest_steps(side: Side, kind: dict, goal: Goal, at_least: int = 0) -> dict | None:
    """None: not even the most of STEPS do."""
    for steps in STEPS:
        if steps < at_least:
            continue
        settings = {**kind, "num_steps": steps}
        start = time.perf_counter()
        distance = goal.distance(side, settings)
        if distance <= goal.allowed:
            once = (time.perf_counter() - start) / len(goal.reference)
            return {"settings": settings, "rmse": distance, "seconds_once": once}
    return None


def confirmed(side: Side, settings: dict, goals: Sequence[Goal]) -> dict:
    """RMSE over the pictures of all `goals`, and whether it is within what they allow together."""
    found = pooled([goal.distance(side, settings) for goal in goals])
    allowed = pooled([goal.allowed for goal in goals])
    return {"rmse_other_seeds": found, "confirmed": found <= allowed}


def pooled(values: Sequence[float]) -> float:
    """RMSE of several sets of equally many pictures together."""
    return math.sqrt(sum(value**2 for value in values) / len(values))


def best_of(side: str, finalists: list[dict]) -> str:
    """Name of its fastest confirmed finalist; DDIM where there is none."""
    rows = [row for row in finalists if row["side"] == side and row["confirmed"]]
    return name_of(min(rows, key=lambda row: row["ms"]["median"])) if rows else DDIM


def name_of(row: dict) -> str:
    said = [f"{key} {value}" for key, value in row["settings"].items()]
    return ", ".join([row["side"], *said])


def show_quality(found: dict, steps: int, reference_steps: int, target: float) -> None:
    ddim = found["ddim"]
    rmses = [f"{ddim['rmse']:.2f}", f"{ddim['rmse_other_seeds']:.2f}", "is the measure"]
    times = [shown(ddim["ms"], 1), "1", shown(ddim["ratio_to_best"], 2)]
    rows = [[f"{DDIM} {steps}", *rmses, *times]]
    for row in found["finalists"]:
        held = "yes" if row["confirmed"] else "no"
        rmses = [f"{row['rmse']:.2f}", f"{row['rmse_other_seeds']:.2f}", held]
        ratios = [shown(row["ratio_to_ddim"], 2), shown(row["ratio_to_best"], 2)]
        rows.append([name_of(row), *rmses, shown(row["ms"], 1), *ratios])
    head = [
        *("", f"RMSE to DDIM {reference_steps}", "on other seeds", "confirmed", "ms per picture"),
        *(f"times as fast as DDIM {steps}", "as the best of diffusers"),
    ]
    table(f"Same quality (target: {target:g} times as fast as DDIM {steps})", head, rows)
    print(f"\nBest of diffusers: {found['best_of_diffusers']}")
