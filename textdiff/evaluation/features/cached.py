"""Features by one extractor: from the cache where they are in it, else computed, and kept.

    source = CachedFeatures(extractor, cache, ranks)
    source.of_split(data, limit)            image features of a split, streamed
    source.of_pictures(images, captions)    of pictures in memory, such as drawn ones
    source.of_captions(texts)               text features (m, D), of a CLIP

What happened is said on stderr, a line for each set of pictures. Ranks encode pictures together;
the cache is then read and written by the main one, and the others get what it has. Captions are
encoded by whoever asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.data.pixel_cache import LOOKS
from textdiff.data.text import shown
from textdiff.errors import UsageError
from textdiff.evaluation.features.cache import FeatureCache, key_of, say
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.extractor import Extractor, ExtractorProtocol, TextExtractor
from textdiff.evaluation.features.feature_set import (
    FeatureSet,
    check_same_extractor,
    read_features,
)
from textdiff.evaluation.features.finite import check_finite
from textdiff.evaluation.features.ranks import ALONE, Ranks
from textdiff.evaluation.features.stream import digests_of, encode_pictures, encode_split
from textdiff.evaluation.protocol import data_protocol
from textdiff.evaluation.results import to_json
from textdiff.types import Features, Pictures

if TYPE_CHECKING:
    from textdiff.evaluation.pictures import PromptedPictures

IN_MEMORY: Mapping[str, Any] = {"source": "pictures in memory"}


@dataclass(frozen=True)
class CachedFeatures:
    """cache: None: everything is computed, and nothing said."""

    extractor: Extractor
    cache: FeatureCache | None = None
    ranks: Ranks = ALONE

    @property
    def protocol(self) -> ExtractorProtocol:
        return self.extractor.protocol

    def of_split(self, data: CaptionedImages, limit: int | None = None) -> FeatureSet:
        """Of the first `limit` images of a split (None: all), those that can be used.

        Raises:
            DataError: too many cannot be used. CheckpointError: features that are not finite.
        """
        indices = range(min(len(data), limit or len(data)))
        return self.of_images(data, indices)

    def of_images(self, data: CaptionedImages, indices: Sequence[int]) -> FeatureSet:
        """Of the images of a split with these indices. Raises as `of_split`."""

        def compute() -> FeatureSet:
            encoded = encode_split(self.extractor, data, indices, self.ranks)
            asked = set(indices)
            return FeatureSet(
                features=encoded.features,
                positions=encoded.positions,
                captions=[[t for t in data.captions[indices[k]] if t] for k in encoded.positions],
                extractor=self.protocol,
                source=to_json(data_protocol(data)),
                bad={index: reason for index, reason in data.bad.items() if index in asked},
            )

        of = {
            "fingerprint": data.fingerprint,
            "version": data.version,
            "looks": data.config.model_dump(include=set(LOOKS)),
            "need_captions": data.config.need_captions,
            "split": data.split,
            "indices": hash_of(list(indices)),
        }
        what = f"{len(indices)} pictures of {shown(data.name)}, split {data.split},"
        features = self._kept_or(compute, of, what)
        data.note_bad(features.bad)
        return features

    def of_pictures(
        self,
        images: Pictures,
        captions: Sequence[Sequence[str]],
        source: Mapping[str, Any] = IN_MEMORY,
    ) -> FeatureSet:
        """Of pictures (n, 3, H, W) with the captions of each; source: what they are.

        Raises:
            CheckpointError: features that are not finite.
        """
        texts = [list(each) for each in captions]

        def compute() -> FeatureSet:
            found = encode_pictures(self.extractor, images, self.ranks)
            return FeatureSet(found.features, found.positions, texts, self.protocol, source, bad={})

        pixels = hashlib.sha256(digests_of(images).numpy().tobytes()).hexdigest()
        of = {"pixels": pixels, "captions": hash_of(texts)}
        features = self._kept_or(compute, of, f"{len(images)} pictures")
        return replace(features, source=source)  # equal pictures may be of several

    def of_prompted(
        self, pictures: PromptedPictures, source: Mapping[str, Any] = IN_MEMORY
    ) -> FeatureSet:
        """Of pictures with a prompt each. Raises as `of_pictures`."""
        return self.of_pictures(pictures.images, [[text] for text in pictures.prompts], source)

    def of_file(self, flag: str, path: str) -> FeatureSet:
        """What a file of features holds.

        Raises:
            UsageError: it is of another extractor. DataError: it cannot be read.
        """
        features = read_features(path)
        check_same_extractor(f"{flag} {path}", features, self.protocol.name, self.protocol)
        return replace(features, extractor=self.protocol)

    def of_captions(self, texts: Sequence[str]) -> Features:
        """(m, D), not normalised; equal texts have equal features.

        Raises:
            UsageError: the extractor has no text tower. CheckpointError: features that are not
                finite.
        """
        extractor = self._text_extractor

        def compute() -> FeatureSet:
            features = extractor.encode_texts(texts)
            check_finite(features, self.protocol.name)
            rows, captions = list(range(len(texts))), [[text] for text in texts]
            about = {"source": "captions"}
            return FeatureSet(features, rows, captions, self.protocol, about, bad={})

        of = {"texts": hash_of(list(texts))}
        return replace(self, ranks=ALONE)._kept_or(compute, of, what=None).features

    def num_truncated(self, texts: Sequence[str]) -> int:
        """How many the text tower sees cut. Raises as `of_captions`."""
        return self._text_extractor.num_truncated(texts)

    @property
    def _text_extractor(self) -> TextExtractor:
        if not isinstance(self.extractor, TextExtractor):
            raise UsageError(f"{self.protocol} has no text tower; give a CLIP")
        return self.extractor

    def _kept_or(
        self, compute: Callable[[], FeatureSet], of: dict[str, Any], what: str | None
    ) -> FeatureSet:
        """What the cache has of it, else what is computed. what: it is, in words; None: not worth
        a line."""
        if self.cache is None:
            return compute()
        key, main = key_of(self.extractor, of), self.ranks.is_main
        kept = self.ranks.main_value(self.cache.get(key) if main else None)
        if kept is not None:
            if main and what:
                say(
                    f"features of {what} by {self.protocol.name}: read, none computed "
                    f"({self.cache.path(key)})"
                )
            return replace(kept, extractor=self.protocol)  # by the name that it has now
        made = compute()
        path = self.cache.put(key, made) if main else None
        if path and what:
            say(f"features of {what} by {self.protocol.name}: computed, kept in {path}")
        return made


def clip_features(clip: ClipModel, name: str = "CLIP") -> CachedFeatures:
    """By a CLIP, all computed. name: what the user calls it."""
    return CachedFeatures(ClipExtractor(name, clip))


def hash_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
