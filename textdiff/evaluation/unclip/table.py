"""The tables of `textdiff unclip`, and in words which route is best."""

from __future__ import annotations

from collections.abc import Iterator

from textdiff.evaluation.held_out.scores import KID_UNIT
from textdiff.evaluation.tables import percent, print_notes, print_table, with_interval
from textdiff.evaluation.unclip.measure import of_number
from textdiff.evaluation.unclip.result import (
    Best,
    PicturesResult,
    RouteDifference,
    UnclipProtocol,
    UnclipResult,
)
from textdiff.evaluation.unclip.run import BASELINES
from textdiff.metrics.bootstrap import Estimate
from textdiff.metrics.sample_size import too_few

REAL = "real pictures"
ASPECTS = ("object", "colour", "both", "relation")  # that have a column; the file has all
WORDS = {"R@1": "R@1 in %", "KID": f"KID x {KID_UNIT}", "both": "object and colour in %"}
UNITS = {"R@1": (100, "+.1f"), "KID": (KID_UNIT, "+.3g"), "both": (100, "+.1f")}


def print_routes(result: UnclipResult, protocol: UnclipProtocol) -> None:
    """What pictures show, how they look and what they cost, differences, and the best route."""
    print_following(result, protocol)
    print_looks(result, protocol)
    print_differences(result)
    for number, best in result.best.items():
        print(sentence(number, best))
    each, real = protocol.prompts.pictures_of_each, protocol.reference.pictures
    print_notes(too_few("kid", protocol.prompts.count * each, real, group=each))


def named_pictures(result: UnclipResult) -> Iterator[tuple[str, PicturesResult]]:
    """A row of each table, real pictures last."""
    for name, route in result.routes.items():
        yield name, route.pictures
    yield REAL, result.real


def print_following(result: UnclipResult, protocol: UnclipProtocol) -> None:
    aspects = [name for name in ASPECTS if name in result.real.aspects]
    letters = {chr(ord("A") + k): each.name for k, each in enumerate(protocol.judges)}
    rows = [
        [
            name,
            *(with_interval(each.aspects[a].rate, 100, ".0f") for a in aspects),
            with_interval(each.scores.held_out.following.at_1, 100, ".0f"),
            *(percent(judge.following.at_1.value) for judge in each.scores.evaluators.values()),
        ]
        for name, each in named_pictures(result)
    ]
    chances = [percent(result.real.aspects[name].chance) for name in aspects]
    chance = percent(result.chance.at_1)
    rows.append(["chance", *chances, chance, *(chance for _ in letters)])
    data, prompts = protocol.data, protocol.prompts
    legend = ", ".join(f"{letter}: {name}" for letter, name in letters.items())
    print_table(
        f"{prompts.count} prompts of {data.source}, split {data.split}, {prompts.pictures_of_each} "
        f"pictures of each, in % (95% interval); R@1: mean over judges; {legend}",
        ["", *aspects, "R@1", *letters],
        rows,
    )


def print_looks(result: UnclipResult, protocol: UnclipProtocol) -> None:
    reference, rows = protocol.reference, []
    for name, each in named_pictures(result):
        diversity = "" if each.diversity is None else with_interval(each.diversity, 1, ".3f")
        row = [name, with_interval(each.scores.held_out.kid, KID_UNIT, ".3g"), diversity]
        if route := result.routes.get(name):
            row += [f"{route.seconds_per_picture:.3g}", f"{route.parameters / 1e6:.3g}"]
        rows.append(row)
    print_table(
        f"Distance from {reference.pictures} other real pictures, split {reference.split}; "
        f"diversity of a prompt; seconds on {protocol.device}",
        ["", f"KID x {KID_UNIT}", "diversity", "s/picture", "M parameters"],
        rows,
    )


def print_differences(result: UnclipResult) -> None:
    """A table for each baseline: the other routes minus it."""
    numbers = [name for name in WORDS if name in result.best]
    for baseline in BASELINES:
        rows = [
            [name, *(difference_cell(number, route.differences[baseline]) for number in numbers)]
            for name, route in result.routes.items()
            if baseline in route.differences
        ]
        if rows:
            title = f"Minus {baseline}, in pairs (95% interval)"
            print_table(title, ["", *(WORDS[number] for number in numbers)], rows)


def difference_cell(number: str, found: RouteDifference) -> str:
    return with_interval(of_number(number, found), *UNITS[number])


def sentence(number: str, best: Best) -> str:
    """Which route is best, and from which others it cannot be told."""
    ahead = {name: each for name, each in best.leads.items() if excludes_zero(each)}
    level = {name: each for name, each in best.leads.items() if name not in ahead}

    def listed(leads: dict[str, Estimate]) -> str:
        return ", ".join(f"{n} {with_interval(each, *UNITS[number])}" for n, each in leads.items())

    parts = [f"ahead of {listed(ahead)}"] if ahead else []
    parts += [f"not told apart from {listed(level)}"] if level else []
    return f"best by {WORDS[number]}: {best.route}; {'; '.join(parts)}"


def excludes_zero(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0
