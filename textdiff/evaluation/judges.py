"""CLIPs that judge drawn pictures: none may have had a part in drawing them."""

from __future__ import annotations

from textdiff.clip import ClipModel
from textdiff.errors import UsageError


def load_judge(flag: str, name: str, device: str, taken: dict[str, str]) -> ClipModel:
    """The CLIP `name`, frozen, on `device`.

    Args:
        flag: that named it.
        taken: what each CLIP is that may not judge, by the hash of its weights.

    Raises:
        UsageError: it is one of `taken`.
    """
    clip = ClipModel.load(name).freeze().to(device)
    part = taken.get(clip.weights_hash())
    if part:
        raise UsageError(
            f"{flag} {name} is {part}; give one of another seed or data, so that it cannot be gamed"
        )
    return clip
