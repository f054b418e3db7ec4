"""Settings: a pydantic schema with defaults, YAML files that hold only what differs, flags on top.

    defaults  <  --config A.yaml --config B.yaml (in order)  <  flags (--train.lr 1e-4)

Unknown keys are refused with the nearest known name; every error names the file or flag that it
came from. Nothing in a config names code to import.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import pydantic
import yaml

from textdiff.errors import UsageError
from textdiff.recipes import recipes

# a field may be called json: pydantic's method of that name is deprecated and not used here
warnings.filterwarnings("ignore", message='Field name "json"')


# Settings that name a place to write to, in every command. A shell expands `~` in `--out ~/x`, but
# not in `--out=~/x`, and nobody does in a YAML file.
OUTPUTS = frozenset({"run_dir", "out", "json", "plot", "grid", "sheet"})


class Settings(pydantic.BaseModel):
    """Base of every settings class: immutable, no unknown keys, defaults checked too.

    short_names: names that stand for a dotted key of a section, in YAML, flags and Python alike.
    """

    short_names: ClassVar[Mapping[str, str]] = {}

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _write_names_out(cls, values: Any) -> Any:
        """Short names as the sections they stand for, `~` of a place to write to as the home."""
        if not isinstance(values, dict):
            return values
        values = {
            key: str(Path(value).expanduser())
            if key in OUTPUTS and isinstance(value, str) and f"{value}/".startswith("~/")
            else value
            for key, value in values.items()
        }
        if not cls.short_names.keys() & values.keys():
            return values
        return _nest(_flatten(values, cls))


SettingsT = TypeVar("SettingsT", bound=Settings)


def _section(annotation: Any) -> type[Settings] | None:
    """The nested settings class of a field annotation such as `X` or `X | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        sections = [s for s in map(_section, typing.get_args(annotation)) if s]
        return sections[0] if len(sections) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def leaves(
    schema: type[Settings], prefix: str = ""
) -> Iterator[tuple[str, pydantic.fields.FieldInfo]]:
    """(dotted key, field) of every value in `schema`, sections opened up."""
    for name, field in schema.model_fields.items():
        section = _section(field.annotation)
        if section:
            yield from leaves(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _flatten(tree: dict[Any, Any], schema: type[Settings], prefix: str = "") -> dict[str, Any]:
    """Nested mapping -> {dotted key: value}, short names written out; goes down only where the
    schema has a section.

    Raises:
        ValueError: a value that is given twice, by its short name and in its section.
    """
    flat: dict[str, Any] = {}
    for written, value in tree.items():
        key = schema.short_names.get(written, written)
        field = schema.model_fields.get(str(key))
        section = _section(field.annotation) if field else None
        if section and isinstance(value, Settings):
            value = value.model_dump(exclude_unset=True)
        if section and isinstance(value, dict):
            entries = _flatten(value, section, f"{prefix}{key}.")
        else:
            entries = {f"{prefix}{key}": value}
        for twice in flat.keys() & entries.keys():
            raise ValueError(
                f"{twice} is given twice, by its short name and in its section; leave one out"
            )
        flat.update(entries)
    return flat


def _nest(flat: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        node = tree
        *parents, last = key.split(".")
        for parent in parents:
            child = node.get(parent)
            node[parent] = node = child if isinstance(child, dict) else {}
        node[last] = value
    return tree


def nearest(name: str, known: list[str]) -> str:
    """A "did you mean" clause for an unknown name, or the list of known ones if they are few."""
    by_leaf = {key.rsplit(".", 1)[-1].lstrip("-"): key for key in known}
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        bare = name.rsplit(".", 1)[-1].lstrip("-")
        leaf = difflib.get_close_matches(bare, list(by_leaf), n=1, cutoff=0.7)
        close = [by_leaf[match] for match in leaf]
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}" if len(known) <= 12 else "see --help for the known ones"


def build(schema: type[SettingsT], layers: list[tuple[str, dict[str, Any]]]) -> SettingsT:
    """Merges `layers` of (origin, nested or dotted mapping), later ones first, and validates.

    Raises:
        UsageError: unknown key or wrong value; the message names its origin.
    """
    known = [key for key, _ in leaves(schema)]
    known += [name for names in _short_names(schema).values() for name in names]
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, tree in layers:
        try:
            flat = _flatten(tree, schema)
        except ValueError as error:
            raise UsageError(f"{source}: {error}") from None
        for key, value in flat.items():
            for covered in [
                k for k in merged if k.startswith(f"{key}.") or key.startswith(f"{k}.")
            ]:
                del merged[covered]
            merged[key] = value
            origin[key] = source
    try:
        return schema.model_validate(_nest(merged))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = origin.get(key) or next(
            (o for k, o in origin.items() if key.startswith(k) or k.startswith(f"{key}.")),
            layers[0][0] if len(layers) == 1 else "settings",
        )
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{where}: unknown key '{key}'; {nearest(key, known)}") from None
        if first["type"] == "missing":
            raise UsageError(f"{_flag(key)} is required: give the flag or set '{key}'") from None
        message = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], (dict, Settings)) else f", got {first['input']!r}"
        named = "" if not key or where.startswith("--") else f"{key}: "
        raise UsageError(f"{where}: {named}{message}{got}") from None


def config_file(name: str) -> Path:
    """The file that `--config` names: a path, or a recipe of `textdiff configs` without one."""
    path = Path(name)
    return path if path.is_file() else recipes().get(name, path)


def _nearest_recipe(path: Path) -> str:
    """A clause with the recipe that a path may have meant; empty if none is near."""
    bare = path.with_suffix("").as_posix().removeprefix("configs/")
    close = difflib.get_close_matches(bare, list(recipes()), n=1, cutoff=0.6)
    return f"; did you mean the recipe '{close[0]}'? 'textdiff configs' lists them" if close else ""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file that holds a mapping (an empty file is an empty one)."""
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = _nearest_recipe(path)
        raise UsageError(f"config file {path} does not exist{hint}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError(f"{path} must hold a mapping of settings, not a {type(tree).__name__}")
    return tree


def to_yaml(settings: Settings) -> str:
    """The resolved settings as YAML text, every value written out."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# Flags that people type for a longer one, beside the short names of the settings.
SHORT_FLAGS = {
    "data.source": "--data",
    "clip_guidance.guide": "--guide",
    "from_picture": "--from",
}


def short_flags(schema: type[Settings]) -> dict[str, list[str]]:
    """By dotted key: the shorter flags that set it too."""
    flags = {key: list(map(_flag, names)) for key, names in _short_names(schema).items()}
    known = {key for key, _ in leaves(schema)}
    for key, flag in SHORT_FLAGS.items():
        if key in known:
            flags.setdefault(key, []).append(flag)
    return flags


def _short_names(schema: type[Settings], prefix: str = "") -> dict[str, list[str]]:
    """By dotted key: its short names, those of sections with the section's name before them."""
    names: dict[str, list[str]] = {}
    for name, key in schema.short_names.items():
        names.setdefault(f"{prefix}{key}", []).append(f"{prefix}{name}")
    for name, field in schema.model_fields.items():
        section = _section(field.annotation)
        if section:
            names.update(_short_names(section, f"{prefix}{name}."))
    return names


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are ours: one line, nearest flag named, exit code from the caller."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _is_list(annotation: Any) -> bool:
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    return any(typing.get_origin(option) in (list, tuple) for option in options)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def value_of(text: str, annotation: Any) -> Any:
    """Typed text -> what pydantic should see: null, a YAML list, or the text itself.

    A list of strings is never read as YAML: "[a, b]" is one prompt, brackets and all.
    """
    if text.lower() in ("none", "null") and type(None) in typing.get_args(annotation):
        return None
    if text[:1] != "[" or not _is_list(annotation) or str in typing.get_args(annotation):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # pydantic will say what is wrong with it


def _metavar(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(annotation))) + "}"
    if _is_union(annotation):
        return "|".join(_metavar(option) for option in typing.get_args(annotation))
    if annotation is type(None):
        return "none"
    if _is_list(annotation):
        return _metavar((typing.get_args(annotation) or (str,))[0])
    if typing.get_origin(annotation) is typing.Annotated:
        return _metavar(typing.get_args(annotation)[0])
    return getattr(annotation, "__name__", str(annotation)).lower()


def default_texts(
    schema: type[Settings], prefix: str = "", section: Settings | None = None, stated: str = ""
) -> dict[str, str]:
    """By dotted key: what `--help` says of its default.

    Args:
        section: the defaults of `schema` where it is a section; none: those of its fields.
        stated: words in place of all of them, from `default_text` in a field's json_schema_extra.
    """
    texts: dict[str, str] = {}
    for name, field in schema.model_fields.items():
        extra = field.json_schema_extra
        words = str(extra.get("default_text", stated)) if isinstance(extra, dict) else stated
        required = field.is_required() and section is None
        default = (
            getattr(section, name) if section else field.get_default(call_default_factory=True)
        )
        inner = _section(field.annotation)
        if inner:
            given = default if isinstance(default, Settings) else None
            texts.update(default_texts(inner, f"{prefix}{name}.", given, words))
        else:
            shown = "required" if required else f"default: {words or default}"
            texts[f"{prefix}{name}"] = shown
    return texts


def part_of_run(schema: type[Settings], path: str | Path, tree: dict[str, Any]) -> dict[str, Any]:
    """What a command takes from a YAML file: all of it, unless it is the config.yaml of a run of
    another command. That one describes the run, so only the data that it names are taken.

    Raises:
        UsageError: the run is of another command, and this one reads no data.
    """
    in_run = (Path(path).parent / "checkpoints").is_dir()
    of_run = "run_dir" in tree and ("run_dir" not in schema.model_fields or in_run)
    if not of_run or tree.keys() <= schema.model_fields.keys() | schema.short_names.keys():
        return tree
    if "data" not in schema.model_fields or not isinstance(tree.get("data"), dict):
        raise UsageError(
            f"{path} describes a run of another command, whose section 'data' alone could be "
            "taken; one of the two has none, so leave --config out"
        )
    print(f"{path}: a run of another command; taken from it: data", file=sys.stderr)
    return {"data": tree["data"]}


def parse_flags(schema: type[SettingsT], argv: list[str], program: str, about: str) -> SettingsT:
    """Settings from a command line: `--config FILE` any number of times, then one flag per value.

    Flags may be written with dashes or underscores. `--help` prints every value with its default.

    Raises:
        UsageError: unknown flag (nearest one named), unknown key or wrong value.
        SystemExit: after `--help`.
    """
    parser = _Parser(
        prog=program,
        usage="%(prog)s [--config FILE ...] [--key value ...]",
        description=about,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML file with what differs from the defaults, or the name of one that 'textdiff "
        "configs' lists; may be repeated, later files win",
    )
    fields, shorter, defaults = dict(leaves(schema)), short_flags(schema), default_texts(schema)
    for key, field in fields.items():
        shape: dict[str, Any] = {}
        if _is_list(field.annotation):
            shape = {"nargs": "+", "action": "extend"}
        elif bool in (field.annotation, *typing.get_args(field.annotation)):
            shape = {"nargs": "?", "const": "true"}  # --flag alone means true
        names = [_flag(key), *shorter.get(key, [])]
        parser.add_argument(
            *names,
            dest=key,
            default=argparse.SUPPRESS,
            metavar=_metavar(field.annotation),
            help=f"{field.description or ''} ({defaults[key]})".strip().replace("%", "%%"),
            **shape,
        )
    spelled = [
        a.split("=", 1)[0].replace("_", "-") + a[len(a.split("=", 1)[0]) :]
        if a.startswith("--")
        else a
        for a in argv
    ]
    known, unknown = parser.parse_known_args(spelled)
    if unknown:
        name = unknown[0].split("=", 1)[0]
        flags = [*map(_flag, fields), *itertools.chain(*shorter.values()), "--config"]
        hint = nearest(name, flags) if name.startswith("-") else "flags start with --"
        raise UsageError(f"unknown flag '{name}'; {hint}")
    values, typed = vars(known), {word.split("=", 1)[0] for word in spelled}
    layers = [
        (str(path), part_of_run(schema, path, read_yaml(config_file(path))))
        for path in values.pop("config")
    ]
    for key, text in values.items():
        annotation = fields[key].annotation
        if isinstance(text, list):
            parsed: Any = value_of(text[0], annotation) if len(text) == 1 else text
            if isinstance(parsed, str):
                parsed = [parsed]
        else:
            parsed = value_of(text, annotation)
        spelling = next((name for name in shorter.get(key, []) if name in typed), _flag(key))
        layers.append((spelling, {key: parsed}))
    return build(schema, layers)
