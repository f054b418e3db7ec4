"""YAML as plain data, within bounds: what a file of settings never needs is refused before it takes
memory.

    text ──► nodes, aliases as such ──► counted as if written out ──► dicts, lists, scalars

A dozen lines of aliases of aliases stand for more values than memory holds ("billion laughs").
"""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS = 4_000_000
MOST_VALUES = 100_000
DEEPEST = 50
LONGEST_NUMBER = 400  # characters
NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


def parse_yaml(text: str) -> Any:
    """What `text` says; None where it is empty.

    Raises:
        ValueError: it is no YAML, names types of a language, or goes beyond the bounds; one line.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, {MOST_CHARACTERS:,} at most are read")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        values = _count(node, {}, 1)
        if values > MOST_VALUES:
            raise ValueError(f"it stands for more than {MOST_VALUES:,} values, aliases written out")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError):  # yaml's own, of a tag in front of what is none: !!bool x
        raise ValueError("a tag (!!int, !!bool, ...) stands before what is none") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Values that `node` stands for. known: by id; 0 while a node is being counted."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise ValueError(f"a number of {len(node.value):,} characters")
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("an alias stands for what it is part of")
        return known[id(node)]
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    known[id(node)] = 0
    children = (
        [child for pair in node.value for child in pair]
        if isinstance(node, yaml.MappingNode)
        else node.value
    )
    known[id(node)] = 1 + sum(_count(child, known, depth + 1) for child in children)
    return known[id(node)]
