"""Files that run code when they are read by who should not: each leaves a mark that tests look for.

canary.run()    what unpickling one does: proof that it would be seen
"""

from __future__ import annotations

import io
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch


class _Opens:
    """Unpickled, it creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.mark), "w")


@dataclass(frozen=True)
class Canary:
    """mark: the file that code of a payload creates."""

    mark: Path

    @property
    def sang(self) -> bool:
        """Whether any of the payloads has run."""
        return self.mark.exists()

    def pickled(self, protocol: int = 2) -> bytes:
        return pickle.dumps(_Opens(self.mark), protocol)

    def torch_file(self, zipped: bool = True) -> bytes:
        """As torch.save writes it, beside an innocent tensor."""
        file = io.BytesIO()
        content = {"weight": torch.zeros(1), "hook": _Opens(self.mark)}
        torch.save(content, file, _use_new_zipfile_serialization=zipped)
        return file.getvalue()

    def source(self) -> str:
        """A Python file that runs as it is imported."""
        return f"open({str(self.mark)!r}, 'w').close()\n"

    def yaml(self) -> str:
        return f"!!python/object/apply:builtins.open [{str(self.mark)!r}, w]\n"

    def tar(self, *, outside: Path) -> bytes:
        """With a pickle for each ending that webdataset decodes, and a file that would lie at
        `outside`."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in ("a.pkl", "a.pyd", "a.pickle", "a.pth", "a.npy", "a.json", str(outside)):
                content = self.pickled()
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return file.getvalue()

    def files(self) -> dict[str, bytes]:
        """All that stand for weights, by what they are."""
        return {
            "pickle 0": self.pickled(0),
            "pickle 2": self.pickled(2),
            "pickle 4": self.pickled(4),
            "torch zip": self.torch_file(),
            "torch legacy": self.torch_file(zipped=False),
        }
