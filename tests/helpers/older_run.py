"""A run of a version of textdiff that lacked a setting."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from textdiff import checkpoint


def forget(run: Path, key: str) -> None:
    """Takes the setting `key` out of the newest checkpoint of `run`."""
    folder = next(checkpoint.checkpoints(run / "checkpoints"))
    state = json.loads((folder / "state.json").read_text())
    del state["fixed"][key]
    text = json.dumps(state).encode()
    (folder / "state.json").write_bytes(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["state.json"] = {
        "size": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
