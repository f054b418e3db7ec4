"""Names of settings, which of them are best, and the tables of `textdiff guidance`."""

from __future__ import annotations

from typing import Any

from textdiff.evaluation import report
from textdiff.evaluation.guidance.pairs import UNGUIDED, WITHOUT_CLIP

KID_UNIT = 1000


def kind_of(guidance_scale: float, clip_scale: float) -> str:
    """What guides: nothing, classifier-free guidance, CLIP, or both."""
    if clip_scale == 0:
        return "none" if guidance_scale == 1 else "CFG"
    return "CLIP" if guidance_scale == 1 else "CFG + CLIP"


def setting_name(guidance_scale: float, clip_scale: float) -> str:
    """E.g. "CFG 2.5 CLIP 5"."""
    parts = [f"CFG {guidance_scale:g}"] if guidance_scale != 1 else []
    parts += [f"CLIP {clip_scale:g}"] if clip_scale else []
    return " ".join(parts) or "unguided"


def coordinates(numbers: dict[str, Any]) -> tuple[float, float]:
    """What settings are compared by: KID (lower is better) and R@1, of held-out CLIPs."""
    return numbers["held_out"]["KID"]["mean"], numbers["held_out"]["R@1"]["mean"]


def pareto(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that no other setting beats in one coordinate without losing in the other."""

    def beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
        (kid, rate), (other_kid, other_rate) = coordinates(one), coordinates(other)
        return kid <= other_kid and rate >= other_rate and (kid, rate) != (other_kid, other_rate)

    return [one for one in settings if not any(beats(other, one) for other in settings)]


def best_of_each_kind(settings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The setting of highest R@1 by held-out CLIPs; of lower KID where these tie."""
    best: dict[str, dict[str, Any]] = {}
    for one in sorted(settings, key=lambda each: (-coordinates(each)[1], coordinates(each)[0])):
        best.setdefault(one["kind"], one)
    return {kind: best[kind] for kind in dict.fromkeys(one["kind"] for one in settings)}


def show(found: dict[str, Any]) -> None:
    """How prompts are followed, how close pictures are to real ones, what each CLIP says."""
    rows = [(one["name"], one) for one in found["settings"]] + [("real pictures", found["real"])]
    prompts, data = found["prompts"], found["data"]
    title = f"{prompts['count']} prompts of {data['source']}, split {data['split']}"
    at_1, at_5 = (percent(found["chance"][f"R@{k}"]) for k in (1, 5))
    report.show(
        f"{title}: prompt following in % (95% interval); gap: guide - held out",
        ["", "R@1 held out", "R@1 guide", "gap of R@1", "R@5"],
        [
            *([name, *following(numbers)] for name, numbers in rows),
            ["chance", at_1, at_1, "", f"{at_5} {at_5}"],
        ],
    )
    report.show(
        f"Distance from {found['reference']['pictures']} other real pictures, split "
        f"{found['reference']['split']}; seconds on {found['device']}",
        ["", f"KID x {KID_UNIT}", "Frechet x 100", "s/picture"],
        [[name, *closeness(numbers)] for name, numbers in rows],
    )
    columns = [key for letter in letters(found) for key in (f"{letter} R@1", "R@5", "score")]
    report.show(
        "Rates in % and CLIP scores; guide: its score; "
        + ", ".join(f"{letter}: {name}" for letter, name in letters(found).items()),
        ["", *columns, "guide"],
        [[name, *by_evaluator(numbers)] for name, numbers in rows],
    )
    show_differences(found["settings"])
    guides = found.get("guides", [found["guide"]])
    for guide in guides:
        print(f"guide: {guide['name']}, {guide['form']}")
    if len(guides) > 1:
        print("the guide that judges real pictures and those drawn without CLIP is the first")
    print(f"on the Pareto front of R@1 and KID: {names(pareto(found['settings']))}")


def show_differences(settings: list[dict[str, Any]]) -> None:
    """Each setting minus its baselines. Files of older versions have no such numbers."""
    if not any("differences" in one for one in settings):
        print("no paired differences: the file is of an older version; draw the sweep again")
        return
    pairs = [one for one in settings if one["differences"]]
    for title, key, unit, digits in (
        ("R@1 held out, in points of %", "R@1", 100, "+.1f"),
        (f"KID x {KID_UNIT}", "KID", KID_UNIT, "+.3g"),
    ):
        report.show(
            f"{title}: difference in pairs (95% interval)",
            ["", f"minus {UNGUIDED}", f"minus {WITHOUT_CLIP}"],
            [[one["name"], *against(one["differences"], key, unit, digits)] for one in pairs],
        )


def against(differences: dict[str, Any], key: str, unit: float, digits: str) -> list[str]:
    """A cell for each baseline; empty where there is none."""
    return [
        with_interval(differences[name][key], unit, digits) if name in differences else ""
        for name in (UNGUIDED, WITHOUT_CLIP)
    ]


def names(settings: list[dict[str, Any]]) -> str:
    return "; ".join(one["name"] for one in sorted(settings, key=coordinates))


def letters(found: dict[str, Any]) -> dict[str, str]:
    """Short names of the evaluators."""
    return {chr(ord("A") + k): each["name"] for k, each in enumerate(found["evaluators"])}


def percent(share: float) -> str:
    return f"{100 * share:.0f}"


def with_interval(value: dict[str, float], unit: float, digits: str) -> str:
    mean, low, high = (f"{unit * value[key]:{digits}}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def following(numbers: dict[str, Any]) -> list[str]:
    return [
        with_interval(numbers["held_out"]["R@1"], 100, ".0f"),
        with_interval(numbers["guide"]["R@1"], 100, ".0f"),
        with_interval(numbers["guide - held_out"]["R@1"], 100, ".0f"),
        " ".join(percent(numbers[judge]["R@5"]["mean"]) for judge in ("held_out", "guide")),
    ]


def closeness(numbers: dict[str, Any]) -> list[str]:
    frechet = [each["Frechet"]["mean"] for each in numbers["evaluators"].values()]
    seconds = numbers.get("seconds_per_picture")
    return [
        with_interval(numbers["held_out"]["KID"], KID_UNIT, ".3g"),
        " ".join(f"{100 * value:.1f}" for value in frechet),
        "" if seconds is None else f"{seconds:.3g}",
    ]


def by_evaluator(numbers: dict[str, Any]) -> list[str]:
    cells = []
    for each in numbers["evaluators"].values():
        cells += [percent(each["R@1"]["mean"]), percent(each["R@5"]["mean"])]
        cells.append(f"{each['CLIP score']['mean']:.1f}")
    return [*cells, f"{numbers['guide']['CLIP score']['mean']:.1f}"]
