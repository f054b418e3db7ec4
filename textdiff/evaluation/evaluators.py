"""CLIPs that evaluate drawn pictures: none may have had a part in drawing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textdiff.clip import ClipModel
from textdiff.errors import UsageError


def load_evaluator(flag: str, name: str, device: str, involved: Mapping[str, str]) -> ClipModel:
    """The CLIP `name`, frozen, on `device`.

    Args:
        flag: that named it.
        involved: CLIPs that had a part, by the hash of their weights; what each did, in words.

    Raises:
        UsageError: it is one of `involved`.
    """
    clip = ClipModel.load(name).freeze().to(device)
    part = involved.get(clip.weights_hash())
    if part:
        raise UsageError(
            f"{flag} {name} is {part}; give one of another seed or data, so that it cannot be gamed"
        )
    return clip


def load_evaluators(
    flag: str, names: Iterable[str], device: str, involved: Mapping[str, str]
) -> dict[str, ClipModel]:
    """Several, by name; arguments as `load_evaluator`'s.

    Raises:
        UsageError: one is among `involved`, or given twice.
    """
    evaluators, known = {}, dict(involved)
    for name in names:
        evaluators[name] = load_evaluator(flag, name, device, known)
        known[evaluators[name].weights_hash()] = f"the evaluator {name} again"
    return evaluators
