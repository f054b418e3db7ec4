"""CLIPs that evaluate drawn pictures: none may have had a part in drawing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from textdiff.clip import ClipModel, NoisedClip
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.config import SamplingConfig


def hashes_of(clip: ClipModel | NoisedClip) -> set[str]:
    """Of the weights of all its forms; of a noised CLIP, also of the one it came from."""
    if not isinstance(clip, NoisedClip):
        return {clip.weights_hash()}
    source = {clip.config.source_weights} if clip.config.source_weights else set()
    return {form.weights_hash() for form in (clip, clip.clip, clip.clean())} | source


def involved_in(pipe: TextToImage, model: str, config: SamplingConfig) -> dict[str, str]:
    """What each CLIP with a part in the pictures that `pipe` draws by `config` did, in words, by
    the hashes that `hashes_of` gives.

    Args:
        model: what the user called `pipe`.

    Raises:
        UsageError: one that cannot guide or choose so. CheckpointError: no CLIP there.
    """
    own = f"{model}/clip"
    chooser, guide = pipe.judge((), config), pipe.guide(config)
    chooses = f"the CLIP that chooses among candidates, {config.selection.judge or own}"
    guides = f"the CLIP that guides, {config.clip_guidance.guide or own}"
    return {
        **dict.fromkeys(hashes_of(chooser) if chooser else (), chooses),
        **dict.fromkeys(hashes_of(guide) if guide else (), guides),
        pipe.clip.weights_hash(): f"the CLIP that {model} was trained with",
    }


def note_on_part(name: str, weights: str, involved: Mapping[str, str]) -> list[str]:
    """A sentence where the network `name` is one of `involved`, which flatters the pictures.

    Args:
        weights: hash of its weights. involved: as `load_evaluator`'s.
    """
    if weights not in involved:
        return []
    return [
        f"{name} is {involved[weights]}, which flatters its pictures; give a network that took no "
        "part."
    ]


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
