"""Captions of emoji beside their names."""

from __future__ import annotations

import open_clip
import pytest

from tests.unit.data.test_openmoji import points
from textdiff.data import DataConfig, open_data
from textdiff.data.emoji_captions import KEYWORDS, aliases, caption_variants, keywords
from textdiff.data.openmoji import catalogue


@pytest.fixture(scope="module")
def entries():
    return catalogue(DataConfig(captions="keywords", skin_tones=True))[0]


def test_a_beer_mug_has_its_alias_its_keywords_and_lists_of_them():
    found = caption_variants("beer mug", points("🍺"))
    assert {"beer", "beer mug, pint", "beer mug, ale"} <= set(found)
    assert "beer mug" not in found and "beer mug, mug" not in found
    lists = [text.split(", ") for text in found if text.count(", ") == 2]
    words = keywords()[points("🍺")]
    assert len(lists) == len(words)
    assert {word for three in lists for word in three} == set(words)


def test_every_variant_says_what_unicode_says_of_that_emoji_alone(entries):
    for entry in entries:
        key = tuple(int(point, 16) for point in entry.identifier.split("-"))
        toneless = tuple(point for point in key if not 0x1F3FB <= point <= 0x1F3FF)
        own = {entry.captions[0], *keywords().get(toneless, ()), *aliases().get(key, ())}
        for text in entry.variants:
            assert text in own or set(text.split(", ")) <= own, (entry.captions, text)


def test_skin_tones_take_the_keywords_of_their_base():
    assert "waving hand: dark skin tone, wave" in caption_variants(
        "waving hand: dark skin tone", points("👋🏿")
    )


def test_countries_keep_to_their_names(entries):
    flags = [entry for entry in entries if entry.captions[0].startswith("flag of ")]
    assert len(flags) > 250
    assert not any(entry.variants for entry in flags)


def test_a_clip_of_24_tokens_holds_them_whole(entries):
    tokenizer = open_clip.SimpleTokenizer()
    texts = {text for entry in entries for text in entry.variants}
    assert max(len(tokenizer.encode(text)) for text in texts) <= 22


def test_names_alone_are_as_if_there_were_no_keywords(tmp_path):
    plain, rich = (
        DataConfig(captions=captions, image_size=16, max_images=60, cache_dir=str(tmp_path))
        for captions in ("names", "keywords")
    )
    assert open_data(plain, "test").fingerprint == open_data(rich, "test").fingerprint
    assert len(list(tmp_path.iterdir())) == 1  # one rendering serves both
    names, more = open_data(plain, "train"), open_data(rich, "train")
    assert names.captions == more.captions
    assert not any(names.variants)
    assert sum(map(len, more.variants)) > len(more)


def test_the_file_of_keywords_is_sorted_and_names_its_licence():
    head = [line for line in KEYWORDS.read_text("utf-8").splitlines() if line.startswith("#")]
    assert "Unicode-3.0" in head[-1]
    found = list(keywords())
    assert found == sorted(found) and len(found) > 1900
    assert "UNICODE LICENSE V3" in KEYWORDS.with_name("emoji_keywords.LICENSE.txt").read_text()
