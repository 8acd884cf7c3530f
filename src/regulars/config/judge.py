"""Turns pydantic's errors about the file into problems a person can mend."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from regulars.config.problems import Problem, dotted, shown
from regulars.config.schema import File

# Under these names a careless hand may have written the secret itself.
_PRIVATE: Final = ("key_env", "headers")

Path = tuple[str | int, ...]


def problems_of(error: ValidationError, origins: Mapping[Path, str]) -> list[Problem]:
    """Explain every error; `origins` names the variable or option a path was set by."""
    return [_explain(details, origins) for details in error.errors(include_url=False)]


def suggestion(word: str, known: Sequence[str]) -> str:
    """Say which known word was probably meant."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(known) or 'nothing'}"


def _explain(details: ErrorDetails, origins: Mapping[Path, str]) -> Problem:
    # pydantic marks a mistake in a mapping's key by a last part "[key]"
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    message, fix = _wording(details, path)
    if path in origins:
        message = f"{message} (set by {origins[path]})"
    return Problem(path=dotted(path), value=_value(details, path), message=message, fix=fix)


def _wording(details: ErrorDetails, path: Path) -> tuple[str, str]:
    kind = details["type"]
    owner = _table_at(path[:-1])
    field = owner.model_fields.get(str(path[-1])) if owner and path else None
    if kind == "extra_forbidden" and owner:
        return "unknown key", suggestion(str(path[-1]), list(owner.model_fields))
    if kind == "missing":
        return "missing", f"add it: {_described(field)}"
    if kind == "regulars":
        context: dict[str, Any] = details.get("ctx", {})
        return str(context["message"]), str(context["fix"])
    text = details["msg"].removeprefix("Input ").rstrip(".")
    return text, _described(field)


def _described(field: FieldInfo | None) -> str:
    if field is None:
        return "write it as the reference shows"
    low = next((m for m in field.metadata if isinstance(m, Ge | Gt)), None)
    high = next((m for m in field.metadata if isinstance(m, Le | Lt)), None)
    text = (field.description or "").rstrip(".")
    match low:
        case Ge(ge=value):
            text += f"; at least {value}"
        case Gt(gt=value):
            text += f"; more than {value}"
        case _:
            pass
    match high:
        case Le(le=value):
            text += f"; at most {value}"
        case _:
            pass
    return text


def _value(details: ErrorDetails, path: Path) -> str | None:
    # An unknown key's value is never shown: it may be `api_key = "…"`.
    if details["type"] in ("missing", "extra_forbidden") or any(p in path for p in _PRIVATE):
        return None
    return shown(details["input"])


def _table_at(path: Path) -> type[BaseModel] | None:
    """Find the table of the schema that a path leads to."""
    kind: Any = File
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = _inner(kind)
    kind = _inner_table(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _inner(kind: Any) -> Any:
    """The values of a dict or the items of a list."""
    arguments = get_args(kind)
    return arguments[-1] if arguments else None


def _inner_table(kind: Any) -> Any:
    """The table in `Table | None`."""
    tables = [k for k in get_args(kind) if isinstance(k, type) and issubclass(k, BaseModel)]
    return tables[0] if len(tables) == 1 and type(None) in get_args(kind) else kind
