"""How far back: `7d`, `12h`, `30m`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

_UNITS_S: Final = {"m": 60, "h": 3600, "d": 86_400}
_SINCE: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")

SinceOption = Annotated[
    str | None, typer.Option("--since", help="How far back, like 7d, 12h or 30m.")
]


def seconds(since: str) -> int:
    """Read a stretch of time; typer says what is wrong with it."""
    found = _SINCE.fullmatch(since)
    if not found:
        raise typer.BadParameter(f"{since!r} is no time; write 7d, 12h or 30m", param_hint="since")
    return int(found[1]) * _UNITS_S[found[2]]


def begin(since: str) -> str:
    """Return when that was, as ISO 8601 in UTC."""
    return (datetime.now(UTC) - timedelta(seconds=seconds(since))).isoformat()
