"""open_clip's byte-pair tokenizer as transformers' `CLIPTokenizer`.

Ids of real tokens are the same: the vocabulary and merges are open_clip's. Padding is the
end-of-text token instead of 0, which no causal text tower tells apart before a caption's end; the
mask ends behind the first end-of-text token in both.

open_clip cleans a caption before that (ftfy, HTML entities) and CLIPTokenizer does not: for curly
quotes, ligatures or `&amp;` clean first, `html.unescape(html.unescape(ftfy.fix_text(caption)))`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.clip.model import ClipModel
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

SPECIAL = ("<|startoftext|>", "<|endoftext|>")  # what CLIPTokenizer calls them
PROBES = (
    "",
    "a red apple",
    "Don't STOP: 3 cats, 2 dogs!!! it's we'll  #1",
    "naïve café 🍎 Москва 東京 👩🏽‍🚀",
    "one two three four five six seven eight nine ten " * 20,
)


def tokenizer_to_transformers(clip: ClipModel, folder: str | Path | None = None) -> CLIPTokenizer:
    """The tokenizer, `model_max_length` being the context length; written to `folder` if given.

    Raises:
        UsageError: this CLIP has another tokenizer than open_clip's own.
    """
    import open_clip
    from transformers import CLIPTokenizer

    own = open_clip.SimpleTokenizer()
    names = [*list(own.encoder)[: -len(SPECIAL)], *SPECIAL]
    merges = ["#version: 0.2", *(" ".join(pair) for pair in own.bpe_ranks)]
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": clip.context_length}
    with tempfile.TemporaryDirectory() as staging:
        vocabulary = json.dumps({name: id_ for id_, name in enumerate(names)})
        Path(staging, "vocab.json").write_text(vocabulary, encoding="utf-8")
        Path(staging, "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
        Path(staging, "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        theirs = CLIPTokenizer.from_pretrained(staging)
    _check(clip, theirs)
    if folder is not None:
        theirs.save_pretrained(folder)
    return theirs


def _check(clip: ClipModel, theirs: CLIPTokenizer) -> None:
    ours = clip.tokenize(list(PROBES))
    for caption, ids, mask in zip(PROBES, ours.ids, ours.mask, strict=True):
        their_ids = theirs(caption, truncation=True).input_ids
        if their_ids != ids[mask].tolist():
            raise UsageError(
                f"this CLIP's tokenizer is not open_clip's own: it reads '{caption[:30]}' in "
                "another way than CLIPTokenizer does; take a CLIP with the byte-pair tokenizer"
            )
