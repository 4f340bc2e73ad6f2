"""YAML with line numbers, and pydantic errors that name the line.

In: a YAML file and a pydantic model. Out: the validated model and the line of every key,
or one sentence "file:line: what is wrong". Knows nothing of what the file means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

Key = str | int
M = TypeVar("M", bound=BaseModel)
_LONGEST = 4_000_000  # bytes: nobody writes more by hand


@dataclass(frozen=True, slots=True)
class Located:
    """A YAML document's value and the line on which each of its keys stands."""

    file: str
    value: Any
    lines: dict[tuple[Key, ...], int]

    def at(self, path: Sequence[Key]) -> str:
        """`file:line` of the nearest key at or above this path."""
        trail = tuple(path)
        while trail and trail not in self.lines:
            trail = trail[:-1]
        return f"{self.file}:{self.lines.get(trail, 1)}"


def read_located(path: str | Path, error: Callable[[str], Exception]) -> Located:
    """Read a YAML file. Raises `error` for a missing, binary or malformed one."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path} does not exist") from None
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}") from None
    if len(data) > _LONGEST:
        raise error(f"{path} has {len(data)} bytes; that is no hand-written YAML file")
    try:
        loader = yaml.SafeLoader(data.decode())
        root = loader.get_single_node()
    except UnicodeDecodeError:
        raise error(f"{path} is not a text file in UTF-8") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(f"{path.name}:{line}: not valid YAML: {problem.problem}") from None
    except yaml.YAMLError as problem:
        raise error(f"{path.name}: not valid YAML: {str(problem).splitlines()[0]}") from None
    if root is None:
        raise error(f"{path} is empty")
    lines: dict[tuple[Key, ...], int] = {}
    value = _value(root, (), lines, path.name, error)
    return Located(path.name, value, lines)


def _value(
    node: yaml.Node,
    path: tuple[Key, ...],
    lines: dict[tuple[Key, ...], int],
    file: str,
    error: Callable[[str], Exception],
) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > 40:
        raise error(f"{file}:{lines[path]}: nested too deeply")
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise error(f"{file}:{line}: a key must be plain text")
            key = str(key_node.value)
            if key in out:
                raise error(f"{file}:{line}: {key!r} stands here twice")
            lines[(*path, key)] = line
            out[key] = _value(value_node, (*path, key), lines, file, error)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_value(n, (*path, i), lines, file, error) for i, n in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    """Numbers, true, false and null as YAML; every other word stays text ("no", "on", "off")."""
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            return text
    return text


def as_mapping(value: Any) -> dict[str, Any] | None:
    """The value if it is a mapping; its keys are texts, as `read_located` makes them."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """The value if it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def at_index(index: int, message: str) -> PydanticCustomError:
    """For validators of lists: a problem with one entry, so that its own line is named."""
    return PydanticCustomError("entry", "{message}", {"message": message, "index": index})


def validate_located(located: Located, model: type[M], error: Callable[[str], Exception]) -> M:
    """The document as a model. Raises `error` with the first problem and its line."""
    try:
        return model.model_validate(located.value)
    except ValidationError as problem:
        first = problem.errors()[0]
        path: tuple[Key, ...] = tuple(first["loc"])
        index = first.get("ctx", {}).get("index")
        if isinstance(index, int):
            entries = (*path, "values") if (*path, "values") in located.lines else path
            path = (*entries, index)
        where = ".".join(str(key) for key in path)
        if first["type"] == "extra_forbidden":
            raise error(f"{located.at(path)}: unknown key {where!r}") from None
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            message = f"{where!r} is missing"
        elif where and where not in message:
            message = f"{where}: {message}"
        raise error(f"{located.at(path)}: {message}") from None
