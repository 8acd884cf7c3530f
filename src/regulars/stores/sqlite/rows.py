"""One generation ↔ one row: which column holds what, in both directions."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from regulars.model.generation import Attempt, Billed, CostSource, Generation, Outcome, UsageSource
from regulars.model.ids import generation_id
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.sqlite.places import chance_of, place, time_at, time_of
from regulars.stores.sqlite.texts import Texts

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

# Enums hash in Python and are found by a descriptor: these are nearly every row's.
_COMPLETED: Final = Outcome.COMPLETED
_DONE: Final = OUTCOME_CODES[_COMPLETED]
_COMPUTED: Final = CostSource.COMPUTED
_ESTIMATED: Final = UsageSource.ESTIMATED

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
    billed: dict[int, Billed] = {}
    """What passed-over attempts billed, by their place in `attempts`."""


_NO_BILLS: Final[dict[int, Billed]] = {}
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
    used, cost, source, charged = row.usage, row.cost, row.usage_source, row.cost_source
    usage = used or _NO_USAGE
    details = Details(
        row.streamed,
        row.session,
        upstream,
        row.upstream_id,
        finish,
        native,
        None if source is None else source is _ESTIMATED,
        usage.cache_write_1h_tokens,
        usage.audio_tokens,
        usage.audio_output_tokens,
        error,
        app,
        referer,
        agent,
        tuple(
            [
                (a.endpoint, a.provider, a.reason, a.status, a.error, a.started_ms, a.duration_ms)
                for a in row.attempts
            ]
        ),
        0 if charged is None or charged is _COMPUTED else CHARGED_CODES[charged],
        None if cost is None else cost.byok,
        price,
        tier,
        _NO_BILLS if len(row.attempts) < 2 else _bills(row.attempts),
    )
    return (
        place(row.created_at_us, 0 if chance is None else chance),
        row.id if chance is None else chance,
        account,
        key,
        _DONE if row.outcome is _COMPLETED else OUTCOME_CODES[row.outcome],
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


def _bills(attempts: Sequence[Attempt]) -> dict[int, Billed]:
    bills = {number: attempt.billed for number, attempt in enumerate(attempts)}
    return {number: bill for number, bill in bills.items() if bill is not None}


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
    found = [(row, _DETAILS.decode(row[-1])) for row in rows]
    texts = Texts(connection)
    text, person = texts.words(_word_ids(found)), texts.people({row[_PERSON] for row, _ in found})
    return [_decode(row, detail, text, person) for row, detail in found]


_PERSON: Final = COLUMNS.index("end_user_id")
_WORDS: Final = itemgetter(
    *(COLUMNS.index(f"{name}_id") for name in ("account", "key", "model", "provider", "endpoint"))
)


def _word_ids(found: Iterable[tuple[Sequence[Any], Details]]) -> set[int | None]:
    ids: set[int | None] = set()
    for row, detail in found:
        ids.update(_WORDS(row))
        ids.update(
            (
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
        )
    return ids


def _decode(
    row: Sequence[Any],
    detail: Details,
    text: Mapping[int | None, Any],
    person: Mapping[int | None, str | None],
) -> Generation:
    # In the order of COLUMNS.
    (
        place_, kept_id, account, key, outcome, status, model, end_user, provider, endpoint,
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
        total, prompt_cost, saving, ttft_ms, duration_ms, _details,
    ) = row  # fmt: skip
    at_us = time_at(place_)
    return Generation(
        id=text_id(place_, kept_id),
        created_at_us=at_us,
        account=text[account],
        key_hash=text[key],
        outcome=_OUTCOMES[outcome],
        status=status,
        model=text[model],
        streamed=detail.streamed,
        end_user=person[end_user],
        session=detail.session,
        provider=text[provider],
        endpoint=text[endpoint],
        upstream_model=text[detail.upstream_model],
        upstream_id=detail.upstream_id,
        finish_reason=text[detail.finish_reason],
        native_finish_reason=text[detail.native_finish_reason],
        usage=None
        if prompt_tokens is None
        else Usage(
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            cache_write_tokens,
            detail.cache_write_1h_tokens,
            reasoning_tokens,
            detail.audio_tokens,
            detail.audio_output_tokens,
        ),
        usage_source=_source(detail),
        cost=None
        if total is None
        else Cost(total, prompt_cost, total - prompt_cost, saving, detail.byok_nanousd),
        cost_source=None if total is None else _CHARGED[detail.charged],
        price=text[detail.price],
        service_tier=text[detail.service_tier],
        ttft_ms=ttft_ms,
        duration_ms=duration_ms,
        error=text[detail.error],
        app=text[detail.app],
        referer=text[detail.referer],
        user_agent=text[detail.user_agent],
        attempts=tuple([Attempt(*fields) for fields in detail.attempts])
        if not detail.billed
        else tuple(
            [Attempt(*fields, detail.billed.get(n)) for n, fields in enumerate(detail.attempts)]
        ),
    )


def _source(detail: Details) -> UsageSource | None:
    if detail.estimated is None:
        return None
    return UsageSource.ESTIMATED if detail.estimated else UsageSource.REPORTED
