"""Files that people and the service write: YAML read into pydantic models, and whole writes.

A fault is reported as ``file:line: field: what was found, what was expected``, all faults at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ioc.errors import FileError

MAX_FILE_BYTES = 4 * 1024 * 1024
# libyaml's loader reads the same and is ten times as fast; not every build of PyYAML has it.
Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Read one YAML file into ``model``. Its validators find the file's folder in their context
    (``folder``), for the files that it names.

    Raises ``FileError`` with one line per fault when the file is absent, too large (4 MiB), not
    YAML, or does not fit the model.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileError([f"{path}: {size} bytes, at most {MAX_FILE_BYTES} are read"])
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    try:
        root = yaml.compose(text, Loader=Loader)
        content = yaml.load(text, Loader=Loader)  # noqa: S506  # a safe loader, see above
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise FileError([f"{where}: not YAML: {getattr(error, 'problem', error)}"]) from error
    try:
        return model.model_validate(content, context={"folder": path.parent})
    except ValidationError as error:
        faults = [
            f"{path}:{_line(root, fault['loc'])}: {'.'.join(map(str, fault['loc'])) or 'file'}: "
            f"{fault['msg']}, found {_shown(fault['input'])}"
            for fault in error.errors(include_url=False)
        ]
        raise FileError(faults) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step, on disk when this returns: a reader sees the old content or the
    new, never half. Raises ``OSError``."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def line_of(path: Path, location: tuple[int | str, ...]) -> int:
    """The line of one field of a YAML file that was read before, counted from 1: for faults that
    only show when its content is used."""
    return _line(yaml.compose(path.read_text(encoding="utf-8"), Loader=Loader), location)


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of ``location`` that the file has, counted from 1."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                continue  # a tag of a union, or a field that is absent
            line = found[0][0].start_mark.line + 1
            node = found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                break
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
