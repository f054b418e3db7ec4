"""Which settings are best, by the evaluators: the higher R@1, and the lower KID."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.evaluation.guidance.sweep import PictureScores, SettingResult


def coordinates(scores: PictureScores) -> tuple[float, float]:
    """KID and R@1."""
    return scores.held_out.kid.value, scores.held_out.following.at_1.value


def pareto_front(settings: Sequence[SettingResult]) -> list[SettingResult]:
    """Those that no other setting beats in one coordinate without losing in the other."""

    def beats(one: SettingResult, other: SettingResult) -> bool:
        (kid, rate), (other_kid, other_rate) = (coordinates(each.scores) for each in (one, other))
        return kid <= other_kid and rate >= other_rate and (kid, rate) != (other_kid, other_rate)

    return [one for one in settings if not any(beats(other, one) for other in settings)]


def best_of_each_kind(settings: Sequence[SettingResult]) -> list[SettingResult]:
    """The setting of highest R@1; of lower KID where these tie."""

    def rank(setting: SettingResult) -> tuple[float, float]:
        kid, rate = coordinates(setting.scores)
        return -rate, kid

    kinds = dict.fromkeys(each.kind for each in settings)
    return [min((s for s in settings if s.kind == kind), key=rank) for kind in kinds]
