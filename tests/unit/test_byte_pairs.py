"""Quick byte-pair merges: the tokens of open_clip's own, in less time."""

import random
import time

import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textdiff.byte_pairs import merge_quickly

OWN, QUICK = open_clip.SimpleTokenizer(), open_clip.SimpleTokenizer()
merge_quickly(QUICK)


@settings(max_examples=300)
@given(st.text(max_size=60) | st.text("aeinstrhlo", max_size=80) | st.text("ab🍎é", max_size=40))
def test_the_same_tokens(text):
    assert QUICK.encode(text) == OWN.encode(text)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_tokens_of_a_long_word(seed):
    letters = random.Random(seed)
    word = "".join(letters.choices("etaoinshrdlu", k=300))
    assert QUICK.encode(word) == OWN.encode(word)


def test_a_long_word_takes_no_time():
    word = "".join(random.Random(0).choices("etaoinshrdlucmfwyp", k=100_000))
    start = time.process_time()
    assert len(QUICK.encode(word)) > 20_000
    assert time.process_time() - start < 20


def test_special_tokens_stay_whole():
    assert QUICK.encode("<end_of_text>") == [QUICK.eot_token_id]
