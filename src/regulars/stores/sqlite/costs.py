"""What rows cost, looked at again: does each follow from its own price, and which have none?"""

import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from regulars.billing.charge import add_up
from regulars.billing.price import Tariff, UsageError, rated, read_price_text, tariff
from regulars.model.generation import CostSource
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.base import Difference, Unpriced
from regulars.stores.sqlite.rows import CHARGED_CODES, Details, text_id

PRICES_CACHED_MAX: Final = 4096
UNPRICED_MAX: Final = 1000
"""So many groups without a price are listed; there are as many as a catalog has endpoints."""

_DETAILS: Final = msgspec.json.Decoder(Details)
_BY_PRICE: Final = frozenset(
    {CHARGED_CODES[CostSource.COMPUTED], CHARGED_CODES[CostSource.ESTIMATED]}
)

_PRICED: Final = (
    "SELECT row, id, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, "
    "cost_nanousd, cost_prompt_nanousd, cache_saving_nanousd, details FROM generation "
    "WHERE cost_nanousd IS NOT NULL AND prompt_tokens IS NOT NULL"
)
_UNPRICED: Final = (
    "SELECT m.text, p.text, e.text, sum(unpriced), max(last_us) FROM hourly "
    "JOIN name AS m ON m.id = model_id LEFT JOIN name AS p ON p.id = provider_id "
    "LEFT JOIN name AS e ON e.id = endpoint_id WHERE unpriced > 0 "
    "GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT ?"
)


def recomputed(connection: sqlite3.Connection) -> Iterator[Difference]:
    """Yield the rows whose cost is not their tokens times the price they keep."""

    @lru_cache(maxsize=PRICES_CACHED_MAX)
    def price_of(number: int) -> Tariff:
        (text,) = connection.execute("SELECT text FROM name WHERE id = ?", (number,)).fetchone()
        return tariff(read_price_text(text))

    for row, kept_id, *counts, total, prompt, saving, details in connection.execute(_PRICED):
        detail = _DETAILS.decode(details)
        if detail.price is None or detail.charged not in _BY_PRICE:
            continue
        where = text_id(row, kept_id)
        try:
            cost = rated(_usage(counts, detail), price_of(detail.price))
            bills = [bill.cost for bill in detail.billed.values() if bill.cost is not None]
            if bills:
                cost = add_up([cost, *bills])
        except (UsageError, ValueError, TypeError) as exc:
            yield Difference("generation", where, "price or tokens", str(exc), None)
            continue
        kept = Cost(total, prompt, total - prompt, saving)
        for figure in ("total", "prompt", "cache_saving"):
            true, found = getattr(cost, figure), getattr(kept, figure)
            if true != found:
                yield Difference("generation", where, f"cost {figure}", true, found)


def unpriced(connection: sqlite3.Connection) -> list[Unpriced]:
    """Return what was served without a known price, most requests first."""
    found = connection.execute(_UNPRICED, (UNPRICED_MAX,))
    return [Unpriced(*values) for values in found]


def _usage(counts: list[Any], detail: Details) -> Usage:
    prompt, completion, cached, written = counts
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=detail.cache_write_1h_tokens,
        audio_tokens=detail.audio_tokens,
        audio_output_tokens=detail.audio_output_tokens,
    )
