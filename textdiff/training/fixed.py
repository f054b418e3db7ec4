"""Settings that a resumed run must not change, and what a refusal says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textdiff.data.training_data import TrainingData
from textdiff.errors import CheckpointError

# fixed by the hash of weights: which flag names what has them
NAMED_BY = {
    "init": "another CLIP than --init names now",
    "vae_init": "another VAE than --init names now",
    "vae": "another VAE than --codec names now",
}


def about_data(data: TrainingData) -> dict[str, Any]:
    """What, besides the fingerprint, tells in words in what other data differ."""
    return {
        "settings": dict(data.described),
        "split": data.split,
        "images": len(data),
        "names": _hash(data.identifiers),
        "captions": _hash(data.captions),
    }


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def check_fixed(
    saved: Mapping[str, Any],
    fixed: Mapping[str, Any],
    folder: Path,
    *,
    saved_data: Mapping[str, Any],
    data: Mapping[str, Any],
) -> None:
    """Compares the settings of the checkpoint in `folder` with the present ones.

    Args:
        saved_data, data: `about_data` of the fingerprint "data" in each.

    Raises:
        CheckpointError: names all settings that differ.
    """
    found = list(_differences(saved, fixed, saved_data, data))
    if found:
        raise CheckpointError(
            f"{folder} was trained with {'; '.join(found)}; set it back or name another --run-dir"
        )


def _differences(
    saved: Mapping[str, Any],
    fixed: Mapping[str, Any],
    saved_data: Mapping[str, Any],
    data: Mapping[str, Any],
) -> Iterator[str]:
    others = {
        key: text
        for key, text in NAMED_BY.items()
        if {key} <= saved.keys() & fixed.keys() and saved[key] != fixed[key]
    }
    if others:  # what the weights bring with them differs then, too
        yield from others.values()
        return
    if saved.get("data") != fixed.get("data"):
        yield from _data_differences(saved_data, data)
    yield from _unequal(
        {key: value for key, value in saved.items() if key != "data"},
        {key: value for key, value in fixed.items() if key != "data"},
    )


def _data_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    settings = list(
        _unequal({"data": before.get("settings", {})}, {"data": now.get("settings", {})})
    )
    if before.get("split") != now.get("split"):
        settings.insert(0, f"split = {before.get('split')}, now it is {now.get('split')}")
    yield from settings
    if settings:
        return
    if before.get("names") != now.get("names"):
        counts = f"{before.get('images')} images, now it has {now.get('images')}"
        yield f"other data: the split had {counts}, not all of the same names"
    else:
        yield "other captions of the same images"


def _unequal(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = _flat(before), _flat(now)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} = {old.get(key)}, now it is {new.get(key)}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
