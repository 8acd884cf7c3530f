"""One generation ↔ one row: which column holds what, in both directions."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from regulars.model.generation import Attempt, Generation, Outcome, UsageSource
from regulars.model.money import Cost
from regulars.model.tokens import Usage

OUTCOME_CODES: Final = {
    Outcome.COMPLETED: 0,
    Outcome.FAILED: 1,
    Outcome.CANCELLED: 2,
    Outcome.REFUSED: 3,
    Outcome.INTERRUPTED: 4,
}
_OUTCOMES: Final = {code: outcome for outcome, code in OUTCOME_CODES.items()}
_SOURCE_CODES: Final = {None: None, UsageSource.REPORTED: 0, UsageSource.ESTIMATED: 1}
_SOURCES: Final = {code: source for source, code in _SOURCE_CODES.items()}

COLUMNS: Final[tuple[str, ...]] = (
    "id",
    "created_at_us",
    "account_id",
    "key_id",
    "outcome",
    "status",
    "model_id",
    "streamed",
    "end_user_id",
    "session",
    "provider_id",
    "endpoint_id",
    "upstream_model_id",
    "upstream_id",
    "finish_reason_id",
    "native_finish_reason_id",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "audio_output_tokens",
    "usage_source",
    "cost_nanousd",
    "cost_prompt_nanousd",
    "cache_saving_nanousd",
    "ttft_ms",
    "duration_ms",
    "error_id",
    "app_id",
    "referer_id",
    "user_agent_id",
    "attempts",
)

_NO_USAGE: Final = (None,) * 8
_NO_COST: Final = (None,) * 3

_AttemptFields = tuple[str, str, str, int | None, str | None, float, float]
_ATTEMPTS: Final = msgspec.json.Decoder(list[_AttemptFields])


def words(row: Generation) -> tuple[str | None, ...]:
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
    )


def encode(
    row: Generation,
    word: Mapping[str | None, int | None],
    end_user_id: int | None,
) -> tuple[Any, ...]:
    """Return the row's values in the order of COLUMNS."""
    usage, cost = row.usage, row.cost
    return (
        row.id,
        row.created_at_us,
        word[row.account],
        word[row.key_hash],
        OUTCOME_CODES[row.outcome],
        row.status,
        word[row.model],
        row.streamed,
        end_user_id,
        row.session,
        word[row.provider],
        word[row.endpoint],
        word[row.upstream_model],
        row.upstream_id,
        word[row.finish_reason],
        word[row.native_finish_reason],
        *(_NO_USAGE if usage is None else _usage_values(usage)),
        _SOURCE_CODES[row.usage_source],
        *(_NO_COST if cost is None else (cost.total, cost.prompt, cost.cache_saving)),
        row.ttft_ms,
        row.duration_ms,
        word[row.error],
        word[row.app],
        word[row.referer],
        word[row.user_agent],
        _attempts_text(row.attempts),
    )


def select_columns() -> str:
    """Return the select list that `decode` reads, for `generation AS g`."""
    return ", ".join(_selected(column) for column in COLUMNS)


def decode(values: Sequence[Any]) -> Generation:
    """Make the generation of a row selected by `select_columns`."""
    column: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    return Generation(
        id=column["id"],
        created_at_us=column["created_at_us"],
        account=column["account_id"],
        key_hash=column["key_id"],
        outcome=_OUTCOMES[column["outcome"]],
        status=column["status"],
        model=column["model_id"],
        streamed=bool(column["streamed"]),
        end_user=column["end_user_id"],
        session=column["session"],
        provider=column["provider_id"],
        endpoint=column["endpoint_id"],
        upstream_model=column["upstream_model_id"],
        upstream_id=column["upstream_id"],
        finish_reason=column["finish_reason_id"],
        native_finish_reason=column["native_finish_reason_id"],
        usage=_usage(column),
        usage_source=_SOURCES[column["usage_source"]],
        cost=_cost(column),
        ttft_ms=column["ttft_ms"],
        duration_ms=column["duration_ms"],
        error=column["error_id"],
        app=column["app_id"],
        referer=column["referer_id"],
        user_agent=column["user_agent_id"],
        attempts=_attempts(column["attempts"]),
    )


def _usage_values(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.reasoning_tokens,
        usage.audio_tokens,
        usage.audio_output_tokens,
    )


def _attempts_text(attempts: tuple[Attempt, ...]) -> str | None:
    if not attempts:
        return None
    fields = [
        (a.endpoint, a.provider, a.reason, a.status, a.error, a.started_ms, a.duration_ms)
        for a in attempts
    ]
    return msgspec.json.encode(fields).decode()


def _selected(column: str) -> str:
    if not column.endswith("_id") or column == "upstream_id":
        return f"g.{column}"
    table, text = ("end_user", "name") if column == "end_user_id" else ("name", "text")
    return f"(SELECT {text} FROM {table} WHERE id = g.{column})"


def _usage(column: Mapping[str, Any]) -> Usage | None:
    if column["prompt_tokens"] is None:
        return None
    return Usage(
        prompt_tokens=column["prompt_tokens"],
        completion_tokens=column["completion_tokens"],
        cached_tokens=column["cached_tokens"],
        cache_write_tokens=column["cache_write_tokens"],
        cache_write_1h_tokens=column["cache_write_1h_tokens"],
        reasoning_tokens=column["reasoning_tokens"],
        audio_tokens=column["audio_tokens"],
        audio_output_tokens=column["audio_output_tokens"],
    )


def _cost(column: Mapping[str, Any]) -> Cost | None:
    total, prompt = column["cost_nanousd"], column["cost_prompt_nanousd"]
    if total is None:
        return None
    return Cost(
        total=total,
        prompt=prompt,
        completion=total - prompt,
        cache_saving=column["cache_saving_nanousd"],
    )


def _attempts(text: str | None) -> tuple[Attempt, ...]:
    return () if text is None else tuple(Attempt(*fields) for fields in _ATTEMPTS.decode(text))
