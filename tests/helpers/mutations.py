"""Documents that are nearly right: one place of a valid one holds something else."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["", "..", "../../etc/passwd", "0", "nan", "1e999", "\x00", "é" * 300])
)
TREES = st.recursive(
    LEAVES,
    lambda tree: (
        st.lists(tree, max_size=3) | st.dictionaries(st.text(max_size=4), tree, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> Any:
    """`valid`, JSON, with one to three of its values changed, removed or put under another key."""
    tree = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        tree = _mutated_once(draw, tree)
    return tree


def _mutated_once(draw: st.DrawFn, tree: Any) -> Any:
    places = _places(tree) if isinstance(tree, (dict, list)) else []
    if not places:
        return draw(TREES)
    parent, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(["replace", "replace", "remove", "rename", "nest"]))
    if how == "remove":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[draw(st.text(max_size=4))] = parent.pop(key)
    elif how == "nest":
        parent[key] = {"more": parent[key]} if draw(st.booleans()) else [parent[key]]
    else:
        parent[key] = draw(TREES)
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    found = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], (dict, list)):
            found += _places(tree[key])
    return found
