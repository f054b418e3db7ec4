"""What a contrastive loss needs: in every batch, something that a pair can be told from."""

from __future__ import annotations

from textdiff.data.base import CaptionedImages
from textdiff.errors import DataError, UsageError


def check_batch(batch_size: int, *, processes: int, otherwise: str = "") -> None:
    """Call it where the loss has no other part.

    Args:
        otherwise: what else the user may do, e.g. ", or --distill".

    Raises:
        UsageError: a batch of one pair, whose loss says nothing whatever the weights are.
    """
    if batch_size * processes == 1:
        raise UsageError(
            "--train.batch-size 1 on one process: a pair alone has nothing to be told from and its "
            f"contrastive loss is always 0; give 2 or more{otherwise} (train.accumulation does not "
            "help: each forward pass has its own negatives)"
        )


def check_pairs(data: CaptionedImages) -> None:
    """Reads images until two can be used.

    Raises:
        DataError: there are no two images, or no two captions, that could be told apart.
    """
    usable = 0
    for index in range(len(data)):
        usable += len(data.usable([index])[0])
        if usable == 2:
            break
    else:
        raise DataError(
            f"{data.name}: {usable} usable image in split '{data.split}'; a contrastive loss tells "
            "pairs apart and needs two or more, better hundreds; add images with captions"
        )
    if len(set(data.all_captions)) == 1:
        raise DataError(
            f"{data.name}: all {len(data)} images of split '{data.split}' have the caption "
            f"{data.all_captions[0]!r}; a contrastive loss needs captions that differ"
        )
