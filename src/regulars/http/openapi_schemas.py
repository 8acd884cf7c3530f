"""What answers hold, as JSON schemas. Money and figures take their type from their metric's unit."""

from collections.abc import Iterable
from typing import Any, Final

from regulars.http.report_json import FIGURES
from regulars.http.users import SPEED
from regulars.reports.definitions import METRICS
from regulars.reports.schema import Sum

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
NUMBER: Final[Json] = {"type": "number"}
MAYBE_NUMBER: Final[Json] = {"type": ["number", "null"]}
COUNT: Final[Json] = {"type": "integer"}
MAYBE_COUNT: Final[Json] = {"type": ["integer", "null"]}
FLAG: Final[Json] = {"type": "boolean"}
OBJECT: Final[Json] = {"type": "object"}


def fields(properties: Json, *, optional: Iterable[str] = ()) -> Json:
    """Describe an object that has these fields and no others."""
    left_out = set(optional)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in left_out],
        "properties": properties,
    }


def some_fields(properties: Json) -> Json:
    """Describe an object that has these fields, and others of OpenRouter's."""
    return {"type": "object", "required": list(properties), "properties": properties}


def array(items: Json) -> Json:
    """Describe a list."""
    return {"type": "array", "items": items}


def metric_schema(name: str) -> Json:
    """Describe a metric's value as `report_json.cell` writes it."""
    metric = METRICS[name]
    words = {"description": metric.help}
    if metric.unit == "us":
        return MAYBE_TEXT | words | {"format": "date-time"}
    if metric.unit == "nanousd":
        return NUMBER | words
    if isinstance(metric.formula, Sum) or metric.unit in ("users", "sessions"):
        return COUNT | words
    return MAYBE_NUMBER | words


def _metrics(names: Iterable[str]) -> Json:
    return {name: metric_schema(name) for name in names}


_ERROR: Final = some_fields(
    {"error": fields({"code": COUNT, "message": TEXT, "metadata": {"type": ["object", "null"]}})}
)

_ATTEMPT: Final = fields(
    {
        "provider_name": TEXT,
        "endpoint_id": TEXT,
        "status": MAYBE_COUNT,
        "latency": NUMBER,
        "is_byok": FLAG,
        "reason": TEXT,
        "error": MAYBE_TEXT,
        "upstream_id": MAYBE_TEXT,
        "cost": MAYBE_NUMBER,
    }
)
_COST_DETAILS: Final = fields(
    {"upstream_inference_prompt_cost": NUMBER, "upstream_inference_completions_cost": NUMBER}
)
_GENERATION: Final = fields(
    dict.fromkeys(("id", "created_at", "origin", "data_region", "model", "api_type"), TEXT)
    | dict.fromkeys(
        (
            "upstream_id",
            "request_id",
            "session_id",
            "external_user",
            "workspace_id",
            "preset_id",
            "app_name",
            "http_referer",
            "user_agent",
            "provider_name",
            "router",
            "service_tier",
            "finish_reason",
            "native_finish_reason",
            "web_search_engine",
            "response_cache_source_id",
            "error",
            "usage_source",
            "price",
            "price_version",
        ),
        MAYBE_TEXT,
    )
    | dict.fromkeys(
        (
            "app_id",
            "tokens_prompt",
            "tokens_completion",
            "native_tokens_prompt",
            "native_tokens_completion",
            "native_tokens_completion_images",
            "native_tokens_reasoning",
            "native_tokens_cached",
            "native_tokens_cache_write",
            "num_media_prompt",
            "num_media_completion",
            "num_input_audio_prompt",
            "num_search_results",
            "num_fetches",
        ),
        MAYBE_COUNT,
    )
    | dict.fromkeys(("total_cost", "usage"), NUMBER)
    | dict.fromkeys(
        (
            "upstream_inference_cost",
            "cache_discount",
            "latency",
            "generation_time",
            "moderation_latency",
        ),
        MAYBE_NUMBER,
    )
    | dict.fromkeys(("is_byok", "streamed", "cancelled"), FLAG)
    | {
        "provider_responses": array(_ATTEMPT),
        "cost_details": {"anyOf": [_COST_DETAILS, {"type": "null"}]},
        "outcome": {"enum": ["completed", "failed", "cancelled", "refused", "interrupted"]},
        "status": COUNT,
        "price_status": {"enum": ["priced", "unknown"]},
        "cost_source": {"enum": ["computed", "estimated", "reported", "insured", None]},
    }
)

_GROUP_FIELDS: Final = {
    "user": MAYBE_TEXT,
    "session": MAYBE_TEXT,
    "api_key_hash": TEXT,
    "outcome": TEXT,
    "finish_reason": MAYBE_TEXT,
    "app": MAYBE_TEXT,
    "routing_reason": MAYBE_TEXT,
    "streamed": FLAG,
    "workspace_id": MAYBE_TEXT,
}
_ACTIVITY: Final = fields(
    {
        "date": TEXT | {"format": "date"},
        "model": TEXT,
        "model_permaslug": TEXT,
        "endpoint_id": TEXT,
        "provider_name": TEXT,
        "usage": metric_schema("cost"),
        "byok_usage_inference": metric_schema("byok_cost"),
        **_metrics(
            (
                "requests",
                "prompt_tokens",
                "completion_tokens",
                "reasoning_tokens",
                "cached_tokens",
                "cache_write_tokens",
                "failed_requests",
                "unpriced_requests",
                "cache_saving",
            )
        ),
        **_GROUP_FIELDS,
    },
    optional=_GROUP_FIELDS,
)

_LABELLED: Final = {"name": TEXT, "display_label": TEXT}
_META: Final = fields(
    {
        "metrics": array(
            fields(
                _LABELLED
                | {
                    "is_rate": FLAG,
                    "display_format": {
                        "enum": ["number", "currency", "percent", "latency", "throughput"]
                    },
                    "unit": TEXT,
                    "description": TEXT,
                }
            )
        ),
        "dimensions": array(fields(_LABELLED | {"description": TEXT})),
        "operators": array(fields({"name": TEXT, "value_type": {"enum": ["scalar", "array"]}})),
        "granularities": array(fields(_LABELLED)),
    }
)
_ANSWER: Final = fields(
    {
        "data": array(OBJECT),
        "metadata": fields(
            {"row_count": COUNT, "query_time_ms": NUMBER, "truncated": FLAG, "cut": MAYBE_TEXT}
        ),
    }
)

_DAY: Final = {"date": TEXT | {"format": "date"}}
_SEEN: Final = {"first_seen": MAYBE_TEXT, "last_seen": MAYBE_TEXT}
_LISTED: Final = _metrics(METRICS)
_USER: Final = fields(
    {
        "user": TEXT,
        "display_name": MAYBE_TEXT,
        **_LISTED,
        **_SEEN,
        "trend": array(fields(_DAY | _metrics(("requests", "cost")))),
    },
    # The metric that was sorted by comes with those that are always there.
    optional=set(_LISTED) - set(FIGURES),
)
_EXTERNAL_USER: Final = fields(
    {
        "user": TEXT,
        "display_name": MAYBE_TEXT,
        "is_active": FLAG,
        "created_at": TEXT,
        "updated_at": TEXT,
    }
)
_IN_FULL: Final = fields(
    {
        "user": TEXT,
        "display_name": MAYBE_TEXT,
        **_SEEN,
        "summary": fields(_metrics((*FIGURES, *SPEED))),
        "by_model": array(fields({"model": TEXT, **_metrics(FIGURES)})),
        "by_provider": array(fields({"provider": MAYBE_TEXT, **_metrics(FIGURES)})),
        "by_day": array(fields(_DAY | _metrics(FIGURES))),
        "sessions": array(
            fields(
                {
                    "session": MAYBE_TEXT,
                    **_metrics(
                        (
                            "requests",
                            "cost",
                            "prompt_tokens",
                            "cached_tokens",
                            "cached_share",
                            "last_seen",
                        )
                    ),
                }
            )
        ),
    }
)

_MODEL: Final = some_fields(
    {
        "id": TEXT,
        "canonical_slug": TEXT,
        "name": TEXT,
        "created": COUNT,
        "description": TEXT,
        "context_length": MAYBE_COUNT,
        "pricing": OBJECT,
        "top_provider": OBJECT,
        "providers": array(TEXT),
    }
)

_FOUND: Final = fields(
    {
        "finding": TEXT,
        "users": COUNT,
        "requests_share": NUMBER,
        "cost_share": NUMBER,
        "cached_share": MAYBE_NUMBER,
        "cold_tokens": COUNT,
        "examples": array(TEXT),
        "details": array(TEXT),
        "fix": TEXT,
    }
)

_SPENDING: Final = {
    "limit": MAYBE_NUMBER | {"description": "USD that may be spent in each `limit_reset`."},
    "limit_remaining": MAYBE_NUMBER,
    "limit_reset": {"enum": ["daily", "weekly", "monthly", None]},
    "include_byok_in_limit": FLAG,
    **dict.fromkeys(
        (
            f"{kind}{window}"
            for kind in ("usage", "byok_usage")
            for window in ("", "_daily", "_weekly", "_monthly")
        ),
        NUMBER,
    ),
    "expires_at": MAYBE_TEXT,
}
_USERS: Final = {
    "user_policy": {
        "enum": ["client", "fixed", "signed", "prefix"],
        "description": "Who says which end user a request is for: the caller, always "
        "`external_user`, the caller with a proof, the caller within `user_prefix`.",
    },
    "external_user": MAYBE_TEXT | {"description": "The one user of a `fixed` key."},
    "user_prefix": MAYBE_TEXT | {"description": "How ids of a `prefix` key begin."},
    "user_sources": array(
        {"enum": ["user", "safety_identifier", "metadata.user_id", "x-regulars-user"]}
    )
    | {"description": "Where requests may name the user; the first that does counts."},
    "personal_ids": {
        "enum": ["flag", "pseudonymise", "refuse"],
        "description": "What becomes of ids that look like a person's own data.",
    },
    "new_users_per_hour": {"type": ["integer", "null"], "minimum": 1},
}
_API_KEY: Final = fields(
    {
        **dict.fromkeys(("hash", "name", "label", "created_at", "workspace_id"), TEXT),
        **dict.fromkeys(("updated_at", "creator_user_id", "last_used_at"), MAYBE_TEXT),
        "role": {"enum": ["inference", "management"]},
        "disabled": FLAG,
        "content_share": NUMBER,
        **_SPENDING,
        **_USERS,
        "signing_secret_name": MAYBE_TEXT
        | {
            "description": "Of a `signed` key: what its secret is found by; the secret is not kept."
        },
    }
)
_KEY_RULES: Final = {
    "name": TEXT | {"minLength": 1, "maxLength": 100},
    "limit": MAYBE_NUMBER | {"minimum": 0},
    "limit_reset": {"enum": ["daily", "weekly", "monthly", None]},
    "include_byok_in_limit": FLAG,
    "workspace_id": MAYBE_TEXT,
    **_USERS,
    "new_signing_secret": FLAG
    | {"description": "Gives a `signed` key another secret; proofs of the one before end."},
    "content_share": NUMBER
    | {"minimum": 0, "maximum": 1, "description": "Share of requests whose texts are kept."},
}
_CONTENT: Final = fields(
    {
        "input": OBJECT,
        "output": fields({"completion": MAYBE_TEXT, "reasoning": MAYBE_TEXT}),
        "error": {"type": ["object", "null"]},
        "truncated": fields({"input": FLAG, "output": FLAG}),
    }
)

SCHEMAS: Final[Json] = {
    "Error": _ERROR,
    "ChatRequest": {
        "type": "object",
        "required": ["messages"],
        "properties": {
            "model": TEXT,
            "models": array(TEXT),
            "messages": array(OBJECT) | {"minItems": 1},
            "stream": {"type": ["boolean", "null"]},
            "user": TEXT | {"maxLength": 512, "description": "Your own end user."},
            "session_id": TEXT | {"maxLength": 256},
            "provider": {"type": ["object", "null"]},
        },
    },
    "Completion": some_fields(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": array(OBJECT),
            "usage": OBJECT,
        }
    ),
    "Explained": some_fields({"user": MAYBE_TEXT, "session_id": MAYBE_TEXT}),
    "Generation": _GENERATION,
    "ActivityItem": _ACTIVITY,
    "AnalyticsMeta": _META,
    "AnalyticsAnswer": _ANSWER,
    "ExternalUser": _EXTERNAL_USER,
    "NewExternalUser": fields(
        {"user": TEXT | {"maxLength": 512}, "display_name": MAYBE_TEXT | {"maxLength": 100}},
        optional={"display_name"},
    ),
    "ExternalUserChange": fields(
        {"is_active": FLAG, "display_name": MAYBE_TEXT | {"maxLength": 100}},
        optional={"is_active", "display_name"},
    ),
    "ExternalUsers": fields({"data": array(_EXTERNAL_USER), "total_count": COUNT}),
    "ErasureReceipt": fields(
        dict.fromkeys(("erased_at", "account", "subject", "signature"), TEXT)
        | dict.fromkeys(
            (
                "generations",
                "contents",
                "lines_in_spool_and_journal",
                "placements",
                "occurrences_left",
            ),
            COUNT,
        )
        | {"anonymous": array(TEXT), "remains": OBJECT}
    ),
    "Identifiers": fields(
        {
            "users": COUNT,
            "requests": COUNT,
            "forms": array(array({"type": ["string", "integer"]})),
            "cached_share": MAYBE_NUMBER,
            "found": array(_FOUND),
        }
    ),
    "User": _USER,
    "UserInFull": _IN_FULL,
    "Key": some_fields(
        {"label": TEXT, "name": TEXT, "hash": TEXT, **_SPENDING, "is_management_key": FLAG}
    ),
    "ApiKey": _API_KEY,
    "NewKey": fields(
        {
            **_KEY_RULES,
            "expires_at": MAYBE_TEXT,
            "creator_user_id": MAYBE_TEXT,
            "role": {"enum": ["inference", "management"]},
            "external": fields({"user": TEXT})
            | {
                "type": ["object", "null"],
                "description": "OpenRouter's way to ask for a `fixed` key: its one user.",
            },
        },
        optional={*_KEY_RULES, "expires_at", "creator_user_id", "role", "external"} - {"name"},
    ),
    "KeyChange": fields({**_KEY_RULES, "disabled": FLAG}, optional={*_KEY_RULES, "disabled"}),
    "Content": _CONTENT,
    "Models": some_fields({"data": array(_MODEL), "total_count": COUNT, "links": OBJECT}),
    "ModelEndpoints": some_fields({"id": TEXT, "name": TEXT, "endpoints": array(OBJECT)}),
}
