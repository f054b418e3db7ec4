"""The tables of `textdiff guidance`."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.evaluation.guidance.differences import BASELINES
from textdiff.evaluation.guidance.front import coordinates, pareto_front
from textdiff.evaluation.guidance.sweep import PictureScores, SettingResult, Sweep
from textdiff.evaluation.held_out.scores import KID_UNIT
from textdiff.evaluation.tables import percent, print_table, with_interval
from textdiff.metrics.bootstrap import Estimate


def print_sweep(sweep: Sweep) -> None:
    """How prompts are followed, how close pictures are to real ones, scores by each CLIP,
    differences, and who is on the front."""
    print_following(sweep)
    print_distances(sweep)
    print_by_evaluator(sweep)
    print_costs(sweep.settings)
    print_differences(sweep.settings)
    guides = sweep.guides or (sweep.protocol.guide,)
    for guide in guides:
        print(f"guide: {guide.clip.name}, {guide.form}")
    if len(guides) > 1:
        print("the guide that judges real pictures and those drawn without CLIP is the first")
    front = sorted(pareto_front(sweep.settings), key=lambda each: coordinates(each.scores))
    print(f"on the Pareto front of R@1 and KID: {'; '.join(each.name for each in front)}")


def named_scores(sweep: Sweep) -> list[tuple[str, PictureScores]]:
    """A row of each table, real pictures last."""
    settings = [(each.name, each.scores) for each in sweep.settings]
    return [*settings, ("real pictures", sweep.real)]


def print_following(sweep: Sweep) -> None:
    prompts, data, chance = sweep.protocol.prompts, sweep.protocol.data, sweep.protocol.chance
    at_1, at_5 = percent(chance.at_1), percent(chance.at_5)
    rows = [
        [
            name,
            with_interval(scores.held_out.following.at_1, 100, ".0f"),
            with_interval(scores.guide.at_1, 100, ".0f"),
            with_interval(scores.gap.at_1, 100, ".0f"),
            f"{percent(scores.held_out.following.at_5.value)} {percent(scores.guide.at_5.value)}",
        ]
        for name, scores in named_scores(sweep)
    ]
    print_table(
        f"{prompts.count} prompts of {data.source}, split {data.split} ({data.images} images): "
        "prompt following in % (95% interval); gap: guide - held out",
        ["", "R@1 held out", "R@1 guide", "gap of R@1", "R@5"],
        [*rows, ["chance", at_1, at_1, "", f"{at_5} {at_5}"]],
    )


def print_distances(sweep: Sweep) -> None:
    reference, data = sweep.protocol.reference, sweep.protocol.data
    seconds = [f"{each.seconds_per_picture:.3g}" for each in sweep.settings]
    rows = [
        [
            name,
            with_interval(scores.held_out.kid, KID_UNIT, ".3g"),
            " ".join(f"{100 * each.frechet.value:.1f}" for each in scores.evaluators.values()),
            time,
        ]
        for (name, scores), time in zip(named_scores(sweep), [*seconds, ""], strict=True)
    ]
    print_table(
        f"Distance from {reference.pictures} other real pictures of {data.source}, split "
        f"{reference.split}; "
        f"seconds on {sweep.protocol.device}",
        ["", f"KID x {KID_UNIT}", "Frechet x 100", "s/picture"],
        rows,
    )


def print_by_evaluator(sweep: Sweep) -> None:
    letters = {chr(ord("A") + k): each.name for k, each in enumerate(sweep.protocol.evaluators)}
    columns = [column for letter in letters for column in (f"{letter} R@1", "R@5", "score")]
    rows = []
    for name, scores in named_scores(sweep):
        row = [name]
        for each in scores.evaluators.values():
            row += [percent(each.following.at_1.value), percent(each.following.at_5.value)]
            row.append(f"{each.following.clip_score.value:.1f}")
        rows.append([*row, f"{scores.guide.clip_score.value:.1f}"])
    legend = ", ".join(f"{letter}: {name}" for letter, name in letters.items())
    title = f"Rates in % and CLIP scores; guide: its score; {legend}"
    print_table(title, ["", *columns, "guide"], rows)


def print_costs(settings: Sequence[SettingResult]) -> None:
    """What was spent on a picture, and what came of it, the cheapest first."""
    known = [(each.evaluations, each) for each in settings if each.evaluations]
    rows = [
        [
            each.name,
            *map(str, (spent.network, spent.guide, spent.judge)),
            with_interval(each.scores.held_out.following.at_1, 100, ".0f"),
            with_interval(each.scores.held_out.kid, KID_UNIT, ".3g"),
        ]
        for spent, each in sorted(known, key=lambda pair: pair[0].network)
    ]
    if rows:
        print_table(
            "Evaluations for one picture: rows of the U-Net (CFG takes two a step), gradients of "
            "the guide, scores by the CLIP that chooses",
            ["", "U-Net", "guide", "chooser", "R@1 held out", f"KID x {KID_UNIT}"],
            rows,
        )


def print_differences(settings: Sequence[SettingResult]) -> None:
    """Each setting minus its baselines."""
    rows = [(each.name, each.differences) for each in settings if each.differences]
    if not rows:  # a single setting
        return
    names = [name for name in BASELINES if any(name in differences for _, differences in rows)]
    columns = ["", *(f"minus {name}" for name in names)]
    rates = [
        [name, *against({k: d.at_1 for k, d in ds.items()}, names, 100, "+.1f")]
        for name, ds in rows
    ]
    print_table("R@1 held out, in points of %: difference in pairs (95% interval)", columns, rates)
    kids = [
        [name, *against({k: d.kid for k, d in ds.items()}, names, KID_UNIT, "+.3g")]
        for name, ds in rows
    ]
    print_table(f"KID x {KID_UNIT}: difference in pairs (95% interval)", columns, kids)


def against(
    differences: dict[str, Estimate], baselines: Sequence[str], unit: float, digits: str
) -> list[str]:
    """A cell for each baseline; empty where there is none."""
    return [
        with_interval(differences[name], unit, digits) if name in differences else ""
        for name in baselines
    ]
