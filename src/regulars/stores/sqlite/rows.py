"""One generation ↔ one row: which column holds what, in both directions."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from regulars.model.generation import Attempt, CostSource, Generation, Outcome, UsageSource
from regulars.model.ids import generation_id
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.sqlite.names import texts_of
from regulars.stores.sqlite.places import chance_of, place, time_at, time_of

OUTCOME_CODES: Final = {
    Outcome.COMPLETED: 0,
    Outcome.FAILED: 1,
    Outcome.CANCELLED: 2,
    Outcome.REFUSED: 3,
    Outcome.INTERRUPTED: 4,
}
CHARGED_CODES: Final = {
    CostSource.COMPUTED: 0,
    CostSource.ESTIMATED: 1,
    CostSource.REPORTED: 2,
    CostSource.INSURED: 3,
}
_CHARGED: Final = {code: source for source, code in CHARGED_CODES.items()}
_OUTCOMES: Final = {code: outcome for outcome, code in OUTCOME_CODES.items()}

COLUMNS: Final[tuple[str, ...]] = (
    "row",
    "id",
    "account_id",
    "key_id",
    "outcome",
    "status",
    "model_id",
    "end_user_id",
    "provider_id",
    "endpoint_id",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nanousd",
    "cost_prompt_nanousd",
    "cache_saving_nanousd",
    "ttft_ms",
    "duration_ms",
    "details",
)
SELECTED: Final = ", ".join(COLUMNS)

_NO_USAGE: Final = Usage(0, 0)

Words = tuple[str | None, ...]
WordIds = tuple[int | None, ...]

_AttemptFields = tuple[str, str, str, int | None, str | None, float, float]


class Details(msgspec.Struct, omit_defaults=True, gc=False):
    """What a row only shows. Texts that repeat are ids of `name`; what is absent is omitted."""

    streamed: bool = False
    session: str | None = None
    upstream_model: int | None = None
    upstream_id: str | None = None
    finish_reason: int | None = None
    native_finish_reason: int | None = None
    estimated: bool | None = None
    cache_write_1h_tokens: int | None = None
    audio_tokens: int | None = None
    audio_output_tokens: int | None = None
    error: int | None = None
    app: int | None = None
    referer: int | None = None
    user_agent: int | None = None
    attempts: tuple[_AttemptFields, ...] = ()
    charged: int = 0
    byok_nanousd: int | None = None
    price: int | None = None
    service_tier: int | None = None


_ENCODE: Final = msgspec.json.Encoder().encode
_DETAILS: Final = msgspec.json.Decoder(Details)


def words(row: Generation) -> Words:
    """Return the texts of a row that are kept in the table `name`."""
    return (
        row.account,
        row.key_hash,
        row.model,
        row.provider,
        row.endpoint,
        row.upstream_model,
        row.finish_reason,
        row.native_finish_reason,
        row.error,
        row.app,
        row.referer,
        row.user_agent,
        row.price,
        row.service_tier,
    )


def encode(row: Generation, word: WordIds, end_user_id: int | None) -> tuple[Any, ...]:
    """Return the row's values in the order of COLUMNS; `word` in the order of `words`.

    An id that is not of our own form, made at the row's time, is kept as it is: its row number
    is only where its microsecond begins.
    """
    chance = chance_of(row.id, row.created_at_us)
    (
        account,
        key,
        model,
        provider,
        endpoint,
        upstream,
        finish,
        native,
        error,
        app,
        referer,
        agent,
        price,
        tier,
    ) = word
    used, cost, source = row.usage, row.cost, row.usage_source
    usage = used or _NO_USAGE
    details = Details(
        row.streamed,
        row.session,
        upstream,
        row.upstream_id,
        finish,
        native,
        None if source is None else source is UsageSource.ESTIMATED,
        usage.cache_write_1h_tokens,
        usage.audio_tokens,
        usage.audio_output_tokens,
        error,
        app,
        referer,
        agent,
        tuple(
            (a.endpoint, a.provider, a.reason, a.status, a.error, a.started_ms, a.duration_ms)
            for a in row.attempts
        ),
        0 if row.cost_source is None else CHARGED_CODES[row.cost_source],
        None if cost is None else cost.byok,
        price,
        tier,
    )
    return (
        place(row.created_at_us, 0 if chance is None else chance),
        row.id if chance is None else chance,
        account,
        key,
        OUTCOME_CODES[row.outcome],
        row.status,
        model,
        end_user_id,
        provider,
        endpoint,
        None if used is None else usage.prompt_tokens,
        None if used is None else usage.completion_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        None if cost is None else cost.total,
        None if cost is None else cost.prompt,
        None if cost is None else cost.cache_saving,
        row.ttft_ms,
        row.duration_ms,
        _ENCODE(details).decode(),
    )


def find(connection: sqlite3.Connection, generation_id_: str) -> int | None:
    """Return the number of the row with this id."""
    at_us = time_of(generation_id_)
    chance = None if at_us is None else chance_of(generation_id_, at_us)
    if at_us is not None and chance is not None:
        found = connection.execute(
            "SELECT row FROM generation WHERE row = ? AND id = ?", (place(at_us, chance), chance)
        ).fetchone()
        if found is not None:
            return int(found[0])
    found = connection.execute("SELECT row FROM odd_id WHERE id = ?", (generation_id_,)).fetchone()
    return None if found is None else int(found[0])


def text_id(row: int, kept_id: int | str) -> str:
    """Return a generation's id from its row's number and what the column `id` holds."""
    return generation_id(time_at(row), kept_id) if isinstance(kept_id, int) else kept_id


def decode_all(connection: sqlite3.Connection, rows: Iterable[Sequence[Any]]) -> list[Generation]:
    """Make the generations of rows selected by SELECTED, in their order."""
    columns: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    details = [_DETAILS.decode(column["details"]) for column in columns]
    ids = {
        number
        for column, detail in zip(columns, details, strict=True)
        for number in (*_column_words(column), *_detail_words(detail))
        if number is not None
    }
    text: dict[int | None, str] = {**texts_of(connection, "name", ids)}
    owners = {column["end_user_id"] for column in columns} - {None}
    person: dict[int | None, str] = {**texts_of(connection, "end_user", owners)}
    return [
        _decode(column, detail, text, person)
        for column, detail in zip(columns, details, strict=True)
    ]


def _column_words(column: Mapping[str, Any]) -> tuple[int | None, ...]:
    names = ("account_id", "key_id", "model_id", "provider_id", "endpoint_id")
    return tuple(column[name] for name in names)


def _detail_words(detail: Details) -> tuple[int | None, ...]:
    return (
        detail.upstream_model,
        detail.finish_reason,
        detail.native_finish_reason,
        detail.error,
        detail.app,
        detail.referer,
        detail.user_agent,
        detail.price,
        detail.service_tier,
    )


def _decode(
    column: Mapping[str, Any],
    detail: Details,
    text: Mapping[int | None, str],
    person: Mapping[int | None, str],
) -> Generation:
    at_us = time_at(column["row"])
    kept_id = column["id"]
    return Generation(
        id=text_id(column["row"], kept_id),
        created_at_us=at_us,
        account=text[column["account_id"]],
        key_hash=text[column["key_id"]],
        outcome=_OUTCOMES[column["outcome"]],
        status=column["status"],
        model=text[column["model_id"]],
        streamed=detail.streamed,
        end_user=person.get(column["end_user_id"]),
        session=detail.session,
        provider=text.get(column["provider_id"]),
        endpoint=text.get(column["endpoint_id"]),
        upstream_model=text.get(detail.upstream_model),
        upstream_id=detail.upstream_id,
        finish_reason=text.get(detail.finish_reason),
        native_finish_reason=text.get(detail.native_finish_reason),
        usage=_usage(column, detail),
        usage_source=_source(detail),
        cost=_cost(column, detail),
        cost_source=_cost_source(column, detail),
        price=text.get(detail.price),
        service_tier=text.get(detail.service_tier),
        ttft_ms=column["ttft_ms"],
        duration_ms=column["duration_ms"],
        error=text.get(detail.error),
        app=text.get(detail.app),
        referer=text.get(detail.referer),
        user_agent=text.get(detail.user_agent),
        attempts=tuple(Attempt(*fields) for fields in detail.attempts),
    )


def _source(detail: Details) -> UsageSource | None:
    if detail.estimated is None:
        return None
    return UsageSource.ESTIMATED if detail.estimated else UsageSource.REPORTED


def _usage(column: Mapping[str, Any], detail: Details) -> Usage | None:
    if column["prompt_tokens"] is None:
        return None
    return Usage(
        prompt_tokens=column["prompt_tokens"],
        completion_tokens=column["completion_tokens"],
        cached_tokens=column["cached_tokens"],
        cache_write_tokens=column["cache_write_tokens"],
        cache_write_1h_tokens=detail.cache_write_1h_tokens,
        reasoning_tokens=column["reasoning_tokens"],
        audio_tokens=detail.audio_tokens,
        audio_output_tokens=detail.audio_output_tokens,
    )


def _cost_source(column: Mapping[str, Any], detail: Details) -> CostSource | None:
    return None if column["cost_nanousd"] is None else _CHARGED[detail.charged]


def _cost(column: Mapping[str, Any], detail: Details) -> Cost | None:
    total, prompt = column["cost_nanousd"], column["cost_prompt_nanousd"]
    if total is None:
        return None
    return Cost(
        total=total,
        prompt=prompt,
        completion=total - prompt,
        cache_saving=column["cache_saving_nanousd"],
        byok=detail.byok_nanousd,
    )
