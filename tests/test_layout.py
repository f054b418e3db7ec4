"""Where tests are, and what they may import."""

from __future__ import annotations

import ast
import pkgutil

import textdiff
from tests.helpers.paths import ROOT

TESTS = ROOT / "tests"
ROOMS = {module.name for module in pkgutil.iter_modules(textdiff.__path__) if module.ispkg}


def test_folders_of_unit_tests_are_rooms():
    folders = {path.name for path in (TESTS / "unit").iterdir() if (path / "__init__.py").is_file()}
    assert folders - {"benchmarks"} <= ROOMS


def test_no_test_imports_another():
    """What two of them need is in tests/helpers."""
    imported = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
        if node.module.split(".")[1] != "helpers"
    ]
    assert imported == []
