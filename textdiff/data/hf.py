"""A Hugging Face data set, by name or from local parquet files, read through `datasets`.

Images stay encoded until our own guard decodes them. The data's own splits are kept; for parquet
they come from file names such as train-00000.parquet, or from a column `split`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from textdiff.data.columns import pick_column
from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage, decode_image, stated_size
from textdiff.data.entries import SPLIT_NAMES, Entry, Split, choose
from textdiff.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "webp", "picture")
CAPTION_COLUMNS = ("text", "caption", "captions", "txt", "prompt", "sentences")


class HuggingFace:
    """A `Source` of the rows of a data set; an entry is named by its split and row."""

    entries: list[Entry]
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        from datasets import Image

        self._config = config
        self._images: dict[str, Dataset] = {}
        entries: list[Entry] = []
        for split, rows in _load(config.source).items():
            where = f"{config.source}, split {split}"
            image = pick_column(config.image_column, IMAGE_COLUMNS, rows.column_names, where)
            text = pick_column(config.caption_column, CAPTION_COLUMNS, rows.column_names, where)
            try:
                self._images[split] = rows.select_columns([image]).cast_column(
                    image, Image(decode=False)
                )
            except (TypeError, ValueError, NotImplementedError) as error:  # bases of pyarrow's
                cause = " ".join(str(error).split())[:200]
                raise DataError(f"{where}: column '{image}' holds no images ({cause})") from None
            stated = rows["split"][:] if "split" in rows.column_names else [split] * len(rows)
            entries += [
                _entry(split, row, value, text, name, where)
                for row, (value, name) in enumerate(zip(rows[text][:], stated, strict=True))
            ]
        self.entries = choose(entries, config.max_images)

    def read(self, index: int) -> Tensor:
        return decode_image(self._encoded(index), self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._encoded(index), self._config)

    def _encoded(self, index: int) -> bytes | str:
        split, row = self.entries[index].identifier.rsplit(":", 1)
        (stored,) = self._images[split][int(row)].values()
        encoded: bytes | str | None = stored and (stored["bytes"] or stored["path"])
        if not encoded:
            raise BadImage("no image in this row")
        return encoded


def _load(source: str) -> dict[str, Dataset]:
    """The data set's splits by name. Raises DataError."""
    import datasets

    try:
        loaded: dict[str, Dataset]  # a DatasetDict
        if source.endswith(".parquet"):
            loaded = datasets.load_dataset("parquet", data_files=_parquet_files(source))
        else:
            loaded = datasets.load_dataset(source)
        return loaded
    except DataError:
        raise
    except Exception as error:  # of the hub, the network or a foreign file
        cause = " ".join(str(error).split())[:200]
        raise DataError(
            f"'{source}' is no local folder, and datasets.load_dataset cannot load it "
            f"({type(error).__name__}: {cause}); check the name, the network and HF_HUB_OFFLINE"
        ) from None


def _parquet_files(source: str) -> dict[str, list[str]]:
    """Split name -> files. A file's split is the first word of its name, else train."""
    path = Path(source).expanduser()
    paths = [path] if path.is_file() else sorted(Path(path.anchor or ".").glob(_relative(path)))
    if not paths:
        raise DataError(f"no parquet file matches {source}")
    files: dict[str, list[str]] = {}
    for path in paths:
        word = re.split(r"[-_.]", path.stem, maxsplit=1)[0].lower()
        files.setdefault(SPLIT_NAMES.get(word, "train"), []).append(str(path))
    return files


def _relative(path: Path) -> str:
    return str(path.relative_to(path.anchor)) if path.anchor else str(path)


def _entry(split: str, row: int, value: Any, column: str, stated: Any, where: str) -> Entry:
    """The entry of a row. One without caption gets the empty caption: its image is unusable."""
    texts = value if isinstance(value, list) else [value]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise DataError(
            f"{where}, row {row}: '{column}' must hold a text or a list of texts, not "
            f"{type(texts[0]).__name__}; choose another with data.caption_column"
        )
    captions = tuple(text.strip() for text in texts if text and text.strip())
    identifier = f"{split}:{row:07d}"
    return Entry(identifier, captions or ("",), identifier, _known_split(stated))


def _known_split(name: Any) -> Split | None:
    return SPLIT_NAMES.get(str(name).lower())
