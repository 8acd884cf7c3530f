"""What is wrong with a configuration: each problem by path, with the value and the fix."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

VALUE_CHARS_MAX: Final = 80
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_USERINFO: Final = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `value` is as written, None where there is none or it may be a secret."""

    path: str
    value: str | None
    message: str
    fix: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" ({self.value})"
        return f"{self.path}: {self.message}{shown}; {self.fix}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as TOML would: `models."a/b".endpoints[0].price`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
        text += f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """Show a value shortly, without a password in an address."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            text = _USERINFO.sub("//***@", repr(value))
            return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"
