"""A tokenizer of transformers that knows four words."""

from __future__ import annotations

from pathlib import Path

import open_clip


def word_tokenizer(folder: Path):
    """open_clip's wrapper of a transformers tokenizer with four words, read from `folder`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(
        models.WordLevel({"<pad>": 0, "</s>": 1, "red": 2, "apple": 3}, unk_token="<pad>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="</s>", pad_token="<pad>"
    ).save_pretrained(folder)
    return open_clip.tokenizer.HFTokenizer(str(folder), context_length=4)
