"""Captions of a scene, from its facts.

    one group      a red apple | red apple | an apple that is red | a picture of a red apple
    several equal  two red cars | two cars that are red | a picture of two red cars
    a relation     a blue pig above a yellow star | a yellow star below a blue pig |
                   a blue pig is above a yellow star |
                   a pig that is blue above a star that is yellow
    background     each of them + " on a green background"

The first is the one that prompts use; the others say the same.
"""

from __future__ import annotations

from textdiff.data.scenes.facts import CONVERSE, Group, Scene

NUMBERS = {1: "one", 2: "two", 3: "three"}
# Begin with a vowel and take "a".
TAKES_A = ("uni", "ewe")
IRREGULAR = {
    "mouse": "mice",
    "goose": "geese",
    "tooth": "teeth",
    "ox": "oxen",
    "die": "dice",
    "fish": "fish",
    "deer": "deer",
    "moose": "moose",
    "bison": "bison",
    "jellyfish": "jellyfish",
    "snowman": "snowmen",
    "leaf": "leaves",
    "wolf": "wolves",
    "scarf": "scarves",
    "potato": "potatoes",
    "mango": "mangoes",
    "volcano": "volcanoes",
    "buffalo": "buffaloes",
}


def captions(scene: Scene, says_background: bool = False) -> tuple[str, ...]:
    """All wordings, each once, the plainest first."""
    end = f" on {with_article(scene.background)} background" if says_background else ""
    first, *others = scene.groups
    if not others or scene.relation is None:
        texts = [phrase(first), bare(first), phrase_that_is(first), f"a picture of {phrase(first)}"]
    else:
        (second,) = others
        relation, converse = scene.relation, CONVERSE[scene.relation]
        verb = "is" if first.count == 1 else "are"
        texts = [
            f"{phrase(first)} {relation} {phrase(second)}",
            f"{phrase(second)} {converse} {phrase(first)}",
            f"{phrase(first)} {verb} {relation} {phrase(second)}",
            f"{phrase_that_is(first)} {relation} {phrase_that_is(second)}",
        ]
    return tuple(dict.fromkeys(f"{text}{end}" for text in texts))


def phrase(group: Group) -> str:
    """ "a red apple", "two red apples"."""
    if group.count == 1:
        return with_article(f"{group.colour} {group.kind}")
    return bare(group)


def bare(group: Group) -> str:
    """ "red apple", "two red apples"."""
    if group.count == 1:
        return f"{group.colour} {group.kind}"
    return f"{NUMBERS[group.count]} {group.colour} {plural(group.kind)}"


def phrase_that_is(group: Group) -> str:
    """ "an apple that is red", "two apples that are red"."""
    if group.count == 1:
        return f"{with_article(group.kind)} that is {group.colour}"
    return f"{NUMBERS[group.count]} {plural(group.kind)} that are {group.colour}"


def with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' and not words.startswith(TAKES_A) else 'a'} {words}"


def plural(kind: str) -> str:
    """Of the last word: "police car" -> "police cars"."""
    *before, word = kind.split()
    if word in IRREGULAR:
        last = IRREGULAR[word]
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        last = f"{word}es"
    elif word.endswith("y") and word[-2] not in "aeiou":
        last = f"{word[:-1]}ies"
    else:
        last = f"{word}s"
    return " ".join([*before, last])
