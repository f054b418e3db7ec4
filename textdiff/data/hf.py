"""A Hugging Face data set, by name or from local parquet files, read through `datasets`.

Images stay encoded until our own guard decodes them. The data's own splits are kept; for parquet
they come from the names of files and folders (see split_names.py), or from a column `split`. A row
that holds a path instead of bytes may name a file beside the data, not one anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from textdiff.data.columns import pick_column
from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage, decode_image, stated_size
from textdiff.data.entries import Entry, Split, choose
from textdiff.data.file_patterns import base_of, files_of, split_of_file
from textdiff.data.metadata import texts_of
from textdiff.data.split_names import split_of_name
from textdiff.data.survey import Flaw, FlawedError, Survey
from textdiff.data.walk import is_inside
from textdiff.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "webp", "picture")
CAPTION_COLUMNS = ("text", "caption", "captions", "txt", "prompt", "sentences")


class HuggingFace:
    """A `Source` of the rows of a data set; an entry is named by its split and row."""

    entries: list[Entry]
    survey: Survey
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        from datasets import Image

        self._config = config
        self._homes = _homes(config.source)
        files = _parquet_files(config.source) if config.source.endswith(".parquet") else {}
        self._files = [Path(path) for paths in files.values() for path in paths]
        self._images: dict[str, Dataset] = {}
        entries: list[Entry] = []
        flaws: list[Flaw] = []
        for split, rows in _load(config.source, files).items():
            where = f"{config.source}, split {split}"
            image = pick_column(config.image_column, IMAGE_COLUMNS, rows.column_names, where)
            text = _caption_column(config, rows.column_names, where)
            labels = _labels(rows, config.label_column, where)
            try:
                self._images[split] = rows.select_columns([image]).cast_column(
                    image, Image(decode=False)
                )
            except (TypeError, ValueError, NotImplementedError) as error:  # bases of pyarrow's
                cause = " ".join(str(error).split())[:200]
                raise DataError(f"{where}: column '{image}' holds no images ({cause})") from None
            texts = [None] * len(rows) if text is None else _texts(rows, text)
            stated = rows["split"][:] if "split" in rows.column_names else [split] * len(rows)
            for row, (value, name, label) in enumerate(zip(texts, stated, labels, strict=True)):
                place = f"{where}, row {row}"
                try:
                    captions = tuple(texts_of(value, text or "no column"))
                except FlawedError as error:
                    if config.need_captions:
                        flaws.append(error.at(place))
                        continue
                    captions = ()
                identifier = f"{split}:{row:07d}"
                known = _known_split(name)
                entries.append(Entry(identifier, captions or ("",), identifier, known, label=label))
        self.entries = choose(entries, config.max_images)
        used = {f"parquet ({split})": len(paths) for split, paths in files.items()}
        self.survey = Survey(seen=len(entries) + len(flaws), flaws=flaws, used=used)

    def read(self, index: int) -> Tensor:
        return decode_image(self._encoded(index), self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._encoded(index), self._config)

    def files(self, indices: Sequence[int]) -> list[Path]:
        """All parquet files, as which rows are in which is not known, and those beside them that
        the rows of `indices` name."""
        if not self._files:
            return []
        paths = {split: _paths_of(rows) for split, rows in self._images.items()}
        named: dict[Path, None] = {}
        for index in indices:
            split, row = self.entries[index].identifier.rsplit(":", 1)
            if path := paths[split].get(int(row)):
                with suppress(BadImage):
                    named[self._beside(path)] = None
        return [*self._files, *named]

    def version(self) -> str:
        """Changes with the data: `datasets` keeps a fingerprint of what it read."""
        prints = [f"{split} {rows._fingerprint}" for split, rows in self._images.items()]
        return hashlib.sha256("\n".join(prints).encode()).hexdigest()

    def _encoded(self, index: int) -> bytes | Path:
        split, row = self.entries[index].identifier.rsplit(":", 1)
        (stored,) = self._images[split][int(row)].values()
        if stored and stored["bytes"]:
            encoded: bytes = stored["bytes"]
            return encoded
        if not stored or not stored["path"]:
            raise BadImage("no image in this row")
        return self._beside(stored["path"])

    def _beside(self, name: str) -> Path:
        """The file that a row names. Raises BadImage."""
        path = self._homes[0] / name
        if self._config.outside_files or any(_is_inside(path, home) for home in self._homes):
            return path
        raise BadImage("file outside the folder")


def _load(source: str, files: dict[str, list[str]]) -> dict[str, Dataset]:
    """The data set's splits by name; files: by split, if they are parquet. Raises DataError."""
    import datasets

    try:
        loaded: dict[str, Dataset]  # a DatasetDict
        if files:
            loaded = datasets.load_dataset("parquet", data_files=files)
        else:
            loaded = datasets.load_dataset(source)
        return loaded
    except Exception as error:  # of the hub, the network or a foreign file
        cause = " ".join(str(error).split())[:200]
        raise DataError(
            f"'{source}' is no local folder, and datasets.load_dataset cannot load it "
            f"({type(error).__name__}: {cause}); check the name, the network and HF_HUB_OFFLINE"
        ) from None


def _parquet_files(source: str) -> dict[str, list[str]]:
    """Split name -> files. Raises DataError."""
    base = base_of(source)
    files: dict[str, list[str]] = {}
    for path in files_of(source, "parquet file"):
        files.setdefault(split_of_file(path, base) or "train", []).append(str(path))
    return files


def _homes(source: str) -> list[Path]:
    """Folders whose files a row may name; paths that are relative start at the first."""
    if source.endswith(".parquet"):
        return [base_of(source)]
    from datasets import config
    from huggingface_hub import constants

    folders = (config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH, constants.HF_HUB_CACHE)
    return list(map(Path, folders))


def _paths_of(rows: Dataset) -> dict[int, str]:
    """By row, the path of each that holds one and no picture; pictures themselves are not read."""
    import pyarrow.compute as pc

    found: dict[int, str] = {}
    start = 0
    for chunk in rows.data.column(0).chunks:
        fields = {field.name: part for field, part in zip(chunk.type, chunk.flatten(), strict=True)}
        sizes = pc.fill_null(pc.binary_length(fields["bytes"]), 0)
        for row in pc.indices_nonzero(pc.equal(sizes, 0)).to_pylist():
            if path := fields["path"][row].as_py():
                found[start + row] = path
        start += len(chunk)
    return found


def _is_inside(path: Path, home: Path) -> bool:
    try:
        return is_inside(path, home)
    except (OSError, ValueError):  # a name that no file can have
        return False


def _caption_column(config: DataConfig, columns: list[str], where: str) -> str | None:
    """None where captions are not needed and there are none."""
    try:
        return pick_column(config.caption_column, CAPTION_COLUMNS, columns, where)
    except DataError:
        if config.need_captions:
            raise
        return None


def _labels(rows: Dataset, column: str | None, where: str) -> list[str | None]:
    """The class of each row: by its name where the data know names of classes. Raises DataError."""
    if column is None:
        return [None] * len(rows)
    column = pick_column(column, (), rows.column_names, where)
    names = getattr(rows.features[column], "names", None)
    labels: list[str | None] = []
    for row, value in enumerate(rows[column][:]):
        if not isinstance(value, (int, str)) or (names and value not in range(len(names))):
            raise DataError(
                f"{where}, row {row}: '{column}' must hold the name, id or number of a class, "
                f"not {value!r}"
            )
        labels.append(names[value] if names else str(value))
    return labels


def _texts(rows: Dataset, column: str) -> list[Any]:
    """A column of texts or of lists of them; bytes that are not UTF-8, which parquet may hold, as
    surrogates."""
    try:
        values: list[Any] = rows[column][:]
    except UnicodeDecodeError:
        stored = rows.cast_column(column, _of_bytes(rows.features[column]))
        values = [_decoded(each) for each in stored[column][:]]
    return values


def _of_bytes(feature: Any) -> Any:
    """The same feature with bytes in place of texts."""
    from datasets import Value

    if isinstance(feature, Value):
        return Value("large_binary" if feature.dtype == "large_string" else "binary")
    return type(feature)(_of_bytes(feature.feature))


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _known_split(name: Any) -> Split | None:
    return None if name is None else split_of_name(str(name))
