"""`regulars tail`: requests as they are kept."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
import typer

from regulars.cli.answers import (
    KEY_VARIABLE,
    Answers,
    KeyEnvOption,
    Params,
    UrlOption,
    answers,
    json_text,
)
from regulars.cli.filters import KeyOption, ModelOption, ProviderOption, UserOption, params
from regulars.cli.generation import shown
from regulars.cli.options import ConfigOption, JsonOption

PAGE_ROWS: Final = 100
PAGES_MAX: Final = 10
"""Read at one look; what came beyond that since the last one is left out, and that is told."""
SEEN_MAX: Final = 10_000


def tail(
    *,
    user: UserOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    key: KeyOption = None,
    last: Annotated[
        int, typer.Option(min=0, max=PAGE_ROWS, help="Show so many that are there already.")
    ] = 10,
    every_s: Annotated[float, typer.Option(min=0.1, max=3600, help="Between two looks.")] = 1.0,
    follow: Annotated[bool, typer.Option(help="Wait for more; Ctrl-C ends it.")] = True,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Print requests as they end, oldest first."""
    asked = params(user=user, model=model, provider=provider, api_key_hash=key)
    seen = _Seen()
    with answers(url, key_env, config) as source:
        first = seen.fresh(_newest(source, asked, pages_max=1))
        _print(first[len(first) - last :] if last else [], as_json=as_json)
        while follow:
            time.sleep(every_s)
            _print(seen.fresh(_newest(source, asked, pages_max=PAGES_MAX)), as_json=as_json)


class _Seen:
    """Ids that were shown: a long request is kept after shorter ones that began later."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def fresh(self, pages: Iterator[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Return what was not seen yet, oldest first; reads no page behind one without news."""
        found: list[dict[str, Any]] = []
        for page in pages:
            news = [row for row in page if row["id"] not in self._ids]
            found += news
            if len(news) < len(page):
                break
        for row in found:
            self._ids[row["id"]] = None
        while len(self._ids) > SEEN_MAX:
            self._ids.popitem(last=False)
        return found[::-1]


def _newest(source: Answers, asked: Params, *, pages_max: int) -> Iterator[list[dict[str, Any]]]:
    from decimal import Decimal

    decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
    cursor: str | None = None
    for _ in range(pages_max):
        more = {} if cursor is None else {"cursor": cursor}
        answer = decode(source.generations({**asked, "limit": str(PAGE_ROWS), **more}))
        yield answer["data"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return
    if pages_max > 1:
        typer.echo(f"more than {pages_max * PAGE_ROWS} came at once; some are not shown", err=True)


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    for row in rows:
        typer.echo(json_text(row) if as_json else _line(row))


def _line(row: dict[str, Any]) -> str:
    tokens = f"{row['tokens_prompt'] or 0}+{row['tokens_completion'] or 0} tokens"
    cached = row["native_tokens_cached"]
    parts = (
        str(row["created_at"])[:23],
        shown(row["external_user"] or "-"),
        shown(row["model"]),
        row["provider_name"] or "-",
        row["outcome"],
        tokens + (f" ({cached} cached)" if cached else ""),
        f"{row['total_cost']} USD" if row["price_status"] == "priced" else "unpriced",
        f"{row['generation_time'] or 0:.0f} ms",
        row["id"],
    )
    return "  ".join(parts)
