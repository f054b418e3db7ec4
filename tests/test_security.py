"""Nothing that we read can run code: by what the source calls, and by what happens to payloads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.helpers.paths import ROOT

FOLDERS = ("textdiff", "scripts", "evals")
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# by their last names, whatever stands before, called or handed on
BANNED = {"__import__", "system", "popen", "extractall", "unsafe_load", "full_load"}
BUILTINS = {"eval", "exec"}  # without anything before, as networks have an `eval`
# by their full names, however they were imported
READERS = {"yaml.load", "yaml.load_all", "yaml.Loader", "yaml.CLoader"}
UNSAFE_YAML = ("yaml.Unsafe", "yaml.Full", "yaml.unsafe", "yaml.full")
# keywords that may not be True
SWITCHES = {"trust_remote_code", "allow_pickle", "shell"}
# modules of which no attribute is taken by a name that is computed
POWERFUL = {"builtins", "importlib", "os", "subprocess", "sys", "torch", "yaml"}
# which function may do it, and why
ALLOWED = {
    # torch's restricted reader, of weights of other projects
    ("textdiff/checkpoint.py", "load_foreign_tensors", "torch.load(weights_only=True)"),
    # of the table of commands
    ("textdiff/commands/cli.py", "run", "import_module of a name that is computed"),
}


def findings(source: str, file: str = "file.py") -> Iterator[str]:
    """What in `source` could run code that somebody else wrote."""
    tree = ast.parse(source)
    yield from _in(tree, file, "", Names.of(tree))


@dataclass(frozen=True)
class Names:
    """imported: full name of each name that an import gives. constants: of the module, texts."""

    imported: dict[str, str]
    constants: set[str]

    @classmethod
    def of(cls, tree: ast.Module) -> Names:
        imported = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {each.asname: each.name for each in node.names if each.asname}
            elif isinstance(node, ast.ImportFrom):
                of = f"{node.module}." if node.module else ""
                imported |= {each.asname or each.name: of + each.name for each in node.names}
        constants = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        return cls(imported, constants)

    def full(self, node: ast.AST) -> str:
        """Of a name or of an attribute, as it is after the imports."""
        first, dot, rest = ast.unparse(node).partition(".")
        return self.imported.get(first, first) + dot + rest

    def known(self, node: ast.AST) -> bool:
        """Whether a text stands in the source itself."""
        return isinstance(node, ast.Constant) or (
            isinstance(node, ast.Name) and node.id in self.constants
        )


def _in(node: ast.AST, file: str, function: str, names: Names) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        function = node.name
    for what in _of(node, names):
        if (file, function, what) not in ALLOWED:
            yield f"{file}:{node.lineno}: {what}"
    for child in ast.iter_child_nodes(node):
        yield from _in(child, file, function, names)


def _of(node: ast.AST, names: Names) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names]
        yield from (name for name in modules if name.partition(".")[0] in UNPICKLERS)
    elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        yield from _of_name(names.full(node))
    elif isinstance(node, ast.Call):
        yield from _of_call(node, names)


def _of_name(full: str) -> Iterator[str]:
    bare = full.removeprefix("builtins.")
    if (
        bare in BUILTINS
        or full.rpartition(".")[2] in BANNED
        or full in READERS
        or full.startswith(UNSAFE_YAML)
    ):
        yield full


def _of_call(call: ast.Call, names: Names) -> Iterator[str]:
    called = names.full(call.func)
    keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
    yield from (f"{name}=True" for name in SWITCHES if keywords.get(name, "False") != "False")
    if called == "torch.load":
        yield f"torch.load(weights_only={keywords.get('weights_only')})"
    if called.rpartition(".")[2] == "import_module" and not names.known(call.args[0]):
        yield "import_module of a name that is computed"
    if called == "getattr":
        module, attribute = names.full(call.args[0]), call.args[1]
        if module in POWERFUL and not names.known(attribute):
            yield f"getattr of {module} by a name that is computed"
        elif isinstance(attribute, ast.Constant):
            yield from _of_name(f"{module}.{attribute.value}")
            if f"{module}.{attribute.value}" == "torch.load":
                yield "torch.load"


def test_no_source_runs_what_it_reads():
    found = [
        line
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in findings(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "builtins.exec(text)",
        "exec(text)",
        "__import__(name)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=settings.trust)",
        "np.load(file, allow_pickle=True)",
        "tarfile.open(path).extractall(folder)",
        "importlib.import_module(config['class'])",
        "importlib.import_module(name)",
        "from yaml import load; load(text)",
        "from yaml import load as read; read(text)",
        "import yaml as y; y.load(text)",
        "yaml.load_all(text)",
        "yaml.SafeLoader(text) or yaml.FullLoader(text)",
        "getattr(yaml, name)(text)",
        "getattr(yaml, 'load')(text)",
        "getattr(builtins, 'eval')(text)",
        "import torch as t; getattr(t, name)(path)",
        "from torch import load; load(path)",
        "from os import system; system(text)",
        "from importlib import import_module as get; get(name)",
        "list(map(__import__, names))",
        "list(map(eval, texts))",
        "builtins.__import__(name)",
    ],
)
def test_a_planted_one_is_found(source):
    assert list(findings(f"def f():\n    {source}"))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "yaml.safe_load(text)",
        "np.load(file, mmap_mode='r', allow_pickle=False)",
        "subprocess.run(words)",
        "importlib.import_module('textdiff.app.page')",
        "getattr(os, 'O_NOFOLLOW', 0)",
        "getattr(settings, name)",
        "from yaml import safe_load; safe_load(text)",
        "model.train(False).eval()",
        "'exec(text)'",
    ],
)
def test_what_is_harmless_is_let_through(source):
    assert list(findings(source)) == []


def test_what_is_allowed_is_still_there():
    """An exemption that nothing needs would let the next one through."""
    found = {
        line.partition(": ")[2]
        for file, _, _ in ALLOWED
        for line in findings((ROOT / file).read_text("utf-8"), "elsewhere.py")
    }
    assert found == {what for _, _, what in ALLOWED}
