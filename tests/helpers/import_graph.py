"""Which file imports which: read from the text of the files, nothing is imported.

A package counts as the file __init__, and what its stub (__init__.pyi) exports as imported by it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Graph = Mapping[str, Iterable[str]]  # a module, and the modules that it imports


@dataclass(frozen=True)
class SourceFile:
    """A module's text, stub included. `module` of a package is the package's name."""

    module: str
    source: str
    is_package: bool = False

    def imported_names(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every import, wherever it stands; `from a import b` gives a.b."""
        package = self.module if self.is_package else self.module.rpartition(".")[0]
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                relative = "." * node.level + (node.module or "")
                base = importlib.util.resolve_name(relative, package) if node.level else relative
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def read_files(root: Path, folders: Iterable[str]) -> dict[str, SourceFile]:
    """The Python files below `root`/`folders` by module."""
    files = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if is_package else parts)
            stub = path.with_suffix(".pyi")
            texts = [part.read_text(encoding="utf-8") for part in (path, stub) if part.exists()]
            files[module] = SourceFile(module, "\n".join(texts), is_package)
    return files


def file_of(name: str, files: Mapping[str, SourceFile]) -> str | None:
    """The module that a dotted name is, or is in: a.b.Class -> a.b; None: it is not ours."""
    while name not in files:
        name, _, rest = name.rpartition(".")
        if not rest:
            return None
    return name


def import_graph(files: Mapping[str, SourceFile]) -> dict[str, set[str]]:
    """The modules among `files` that each of them imports, itself left out."""
    targets = {
        module: {file_of(name, files) for _, name in file.imported_names()}
        for module, file in files.items()
    }
    return {module: found - {None, module} for module, found in targets.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of two or more modules that all import each other, directly or by way of others."""
    reachable = {module: _reachable(graph, module) for module in graph}
    groups = {
        tuple(sorted(other for other in reachable[module] if module in reachable[other]))
        for module in graph
    }
    return [list(group) for group in sorted(groups) if len(group) > 1]


def _reachable(graph: Graph, start: str) -> set[str]:
    """What `start` imports, at any distance; `start` itself only by a circle."""
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(graph.get(module, ()))
    return reached
