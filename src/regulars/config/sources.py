"""Where configuration comes from, lowest first: the file, the environment, the command line."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from regulars.config.judge import suggestion
from regulars.config.problems import ConfigError, Problem
from regulars.config.schema import File

PREFIX: Final = "REGULARS_"
DEFAULT_FILE: Final = "regulars.toml"
FILE_BYTES_MAX: Final = 10_000_000

# Also as one word, for containers: the store's address is the one thing everybody sets.
_FIXED: Final = {"REGULARS_STORE_URL": ("store", "url")}


@dataclass(frozen=True, slots=True)
class Sources:
    """All that settings are made of.

    `file` was named on the command line; `options` are its other values by path, None where
    not given; `folder` is where the program was started.
    """

    file: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    options: Mapping[tuple[str, str], object] = field(default_factory=dict[tuple[str, str], object])
    folder: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True, slots=True)
class Merged:
    """The sources laid over each other, not yet judged; `origins` says who set a path last."""

    tables: dict[str, Any]
    origins: dict[tuple[str | int, ...], str]
    problems: tuple[Problem, ...]
    file: Path | None


def environment() -> Mapping[str, str]:
    """Read the process's environment, the only place that does."""
    return dict(os.environ)  # noqa: TID251 - this is the one reader


def home(env: Mapping[str, str], folder: Path) -> Path:
    """Where Regulars keeps what it writes: `REGULARS_HOME`, else `~/.regulars`."""
    return folder / Path(env.get("REGULARS_HOME") or "~/.regulars").expanduser()


def merge(sources: Sources) -> Merged:
    """Lay the sources over each other.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    file = _chosen_file(sources)
    tables: dict[str, Any] = {} if file is None else _read(file)
    origins: dict[tuple[str | int, ...], str] = {}
    problems: list[Problem] = []
    for name, value in sorted(sources.env.items()):
        path = _FIXED.get(name) or _path_of(name, problems)
        if path and not _put(tables, path, value):
            fix = "unset it, or make its name end there"
            problems.append(Problem(name, None, "leads into a value that is no table", fix))
        elif path:
            origins[path] = name
    if sources.env.get("REGULARS_DISCOVER") not in (None, "", "demo"):
        fix = 'set it to "demo", or unset it'
        problems.append(Problem("REGULARS_DISCOVER", None, "not a way to discover", fix))
    for (section, key), value in sources.options.items():
        if value is not None:
            _put(tables, (section, key), value)
            origins[section, key] = f"--{key}"
    return Merged(tables=tables, origins=origins, problems=tuple(problems), file=file)


def _chosen_file(sources: Sources) -> Path | None:
    named = sources.file or sources.env.get(f"{PREFIX}CONFIG")
    if named:
        return sources.folder / Path(named).expanduser()
    default = sources.folder / DEFAULT_FILE
    return default if default.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise ConfigError([_unreadable(file, f"larger than {FILE_BYTES_MAX} bytes")])
        return tomllib.loads(raw.decode())
    except OSError as error:
        raise ConfigError([_unreadable(file, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([_unreadable(file, f"not UTF-8 at line {line}")]) from error
    except tomllib.TOMLDecodeError as error:
        problem = Problem(str(file), None, f"not TOML: {error}", "mend that line")
        raise ConfigError([problem]) from error


def _unreadable(file: Path, message: str) -> Problem:
    return Problem(str(file), None, message, "name a readable file with --config")


def _path_of(name: str, problems: list[Problem]) -> tuple[str, ...] | None:
    """`REGULARS_SERVER__PORT` → (server, port).

    Names without `__` are left alone: orchestrators inject such (`REGULARS_PORT=tcp://…`).
    """
    section, separator, rest = name.removeprefix(PREFIX).partition("__")
    if not name.startswith(PREFIX) or not separator:
        return None
    known = list(File.model_fields)
    if section.lower() not in known:
        fix = suggestion(section.lower(), known)
        problems.append(Problem(name, None, f"unknown section {section.lower()!r}", fix))
        return None
    return (section.lower(), *(part.lower() for part in rest.split("__")))


def _put(tables: dict[str, Any], path: tuple[str, ...], value: object) -> bool:
    """Set a value deep in the tables; False where something on the way is no table."""
    *folders, last = path
    table = tables
    for folder in folders:
        inner = table.setdefault(folder, {})
        if not isinstance(inner, dict):
            return False
        table = inner
    table[last] = value
    return True
