"""`regulars generation ID`: one request, in full."""

from collections.abc import Iterator, Mapping
from typing import Annotated, cast

import msgspec
import typer

from regulars.cli.answers import KEY_VARIABLE, KeyEnvOption, UrlOption, answers
from regulars.cli.options import ConfigOption, JsonOption


def generation(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="The id the client got.")],
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Show one request: what it cost, and each attempt."""
    with answers(url, key_env, config) as source:
        found = source.generation(generation_id)
    if as_json:
        typer.echo(found.decode())
        return
    from decimal import Decimal

    from regulars.cli.tables import print_table

    view = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode(found)
    attempts = view.pop("provider_responses")
    print_table(("field", "value"), _fields(view))
    if isinstance(attempts, list) and attempts:
        names = list(attempts[0])
        print_table(names, [[_text(each[name]) for name in names] for each in attempts])


def _fields(view: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is known, field by field; the parts of a field follow it."""
    for name, value in view.items():
        if isinstance(value, dict):
            parts = cast("dict[str, object]", value)
            yield from ((f"{name}.{part}", text) for part, text in _fields(parts))
        elif value is not None:
            yield name, _text(value)


def _text(value: object) -> str:
    return "" if value is None else shown(str(value))


def shown(text: str) -> str:
    """Make a stranger's text fit for a terminal: nothing in it moves the cursor."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
