"""The OpenAPI document of all public routes, made from what the handlers themselves read.

Parameters come from the handlers' own sets, metrics and dimensions from `reports.definitions`;
what an answer holds is checked against a running server in `tests/integration/test_openapi.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from regulars import __version__
from regulars.exports.export import FORMATS
from regulars.http import (
    activity,
    export,
    external_users,
    generations,
    identifiers,
    keys,
    query,
    users,
)
from regulars.http.analytics import LIMIT_MOST
from regulars.http.openapi_schemas import SCHEMAS, TEXT, fields
from regulars.reports.definitions import (
    DIMENSION_NAMES,
    DIMENSIONS,
    METRIC_NAMES,
    METRICS,
    OPERATORS,
    STEPS,
)
from regulars.reports.schema import LIMIT_MAX

Json = dict[str, Any]

_SIGNING: Final[Json] = {
    "signing_secret": TEXT | {"description": "Of a `signed` key: where it is new, told this once."}
}
_PARAMETERS: Final[Mapping[str, tuple[Json, str]]] = {
    "id": ({"type": "string"}, "The generation's id, as `id` or `X-Generation-Id` told it."),
    "user": ({"type": "string", "maxLength": 512}, "Only this end user's."),
    "user_id": ({"type": "string", "maxLength": 512}, "The same as `user`."),
    "model": ({"type": "string"}, "Only of this model."),
    "provider": ({"type": "string"}, "Only of this provider, by its name or slug."),
    "api_key_hash": ({"type": "string"}, "Only of the key with this public hash."),
    "workspace_id": ({"type": "string"}, "Changes nothing: all is one workspace."),
    "date": ({"type": "string", "format": "date"}, "Only of this day of the time zone."),
    "from": ({"type": "string"}, "From this date or ISO time on."),
    "to": ({"type": "string"}, "To the end of this date, or up to this ISO time."),
    "group_by": (
        {"type": "string"},
        f"Split rows further, by one or several (commas between) of: {', '.join(activity.GROUPS)}.",
    ),
    "offset": ({"type": "integer", "minimum": 0}, "So many are left out before the first."),
    "include_disabled": ({"type": "boolean"}, "Keys that are disabled too."),
    "include_expired": ({"type": "boolean"}, "Keys whose time is over too."),
    "include_inactive": ({"type": "boolean"}, "Those turned off too."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": query.LIMIT_MAX},
        f"Items of a page; {query.LIMIT_DEFAULT} when absent.",
    ),
    "cursor": ({"type": "string"}, "The `next_cursor` of the page before."),
    "q": ({"type": "string"}, "Only users whose id holds this text; the case of a-z is ignored."),
    "sort": ({"type": "string", "enum": list(METRICS)}, "What users are sorted by; `cost` when absent."),
    "order": ({"type": "string", "enum": ["asc", "desc"]}, "`desc` when absent."),
    "time_zone": ({"type": "string"}, "The IANA time zone days are cut in; UTC when absent."),
}  # fmt: skip

_EXPORT_PARAMETERS: Final[Mapping[str, tuple[Json, str]]] = {
    "format": ({"type": "string", "enum": list(FORMATS)}, "`csv` when absent."),
    "group_by": ({"type": "string"}, "Rows of a report by these dimensions, commas between."),
    "metrics": ({"type": "string"}, "The report's figures, commas between."),
    "granularity": ({"type": "string", "enum": list(STEPS)}, "Group the report by time too."),
    "order_by": ({"type": "string"}, "The figure to sort the report by, greatest first."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}, "The report's first rows."),
    "named": (
        {"type": "string", "enum": ["true", "false"]},
        "Leave requests out that name nobody.",
    ),
    "bare": ({"type": "string", "enum": ["true", "false"]}, "No words about the file itself."),
}

_PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "user": "The end user's id, percent-encoded; it may hold anything.",
    "hash": "The key's public hash: the SHA-256 of its secret, in hex.",
    "model": "The model's id, for example `meta/llama-3.3-70b`.",
}


def document() -> Json:
    """Build the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regulars",
            "version": __version__,
            "description": "OpenRouter's API, with a report for every end user. Money is in USD, exact.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}, {"url": "/v1", "description": "The same."}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: inference keys chat and see their own generations, "
                    "management keys see all reports.",
                }
            },
            "schemas": SCHEMAS,
        },
    }


def _paths() -> Json:
    at_root = [{"url": "/"}]
    health = {"status": {"type": "string"}}
    return {
        "/chat/completions": {"post": _chat()},
        "/generation": {
            "get": _get("One generation", _data("Generation"), generations.ID_PARAMS, needed={"id"})
        },
        "/generation/content": {
            "get": _get(
                "What was said in one generation, where it was kept",
                _data("Content"),
                generations.ID_PARAMS,
                needed={"id"},
            )
        },
        "/generations": {
            "get": _get("Generations, newest first", _page("Generation"), generations.LIST_PARAMS)
        },
        "/activity": {
            "get": _get(
                "Sums by day, model and endpoint: 30 completed days unless asked otherwise",
                _list("ActivityItem"),
                activity.PARAMS,
            )
        },
        "/activity/export": {"get": _export()},
        "/analytics/meta": {
            "get": _get("What a query may ask for", _data("AnalyticsMeta"), frozenset())
        },
        "/analytics/query": {"post": _query()},
        "/external-users": {
            "get": _get(
                "Who has ever been named or registered",
                _ref("ExternalUsers"),
                external_users.PARAMS,
            ),
            "post": _external_user("Register a user: 201, or 409", body="NewExternalUser"),
        },
        "/external-users/{user}": {
            "get": _external_user("One external user, active or not"),
            "patch": _external_user("Turn a user on or off", body="ExternalUserChange"),
            "delete": _without_answer(_external_user("Turn a user off; he and his rows stay")),
        },
        "/users": {"get": _get("End users by any metric", _ranked("User"), users.LIST_PARAMS)},
        "/users/{user}": {
            "get": _get("One end user in full", _data("UserInFull"), users.ONE_PARAMS, path="user"),
            "delete": _get(
                "Erase an end user: the id goes everywhere, sums stay; a signed receipt",
                _data("ErasureReceipt"),
                frozenset(),
                path="user",
            ),
        },
        "/identifiers": {
            "get": _get(
                "How healthy the ids are that requests name end users by: 30 days unless asked",
                _data("Identifiers"),
                identifiers.PARAMS,
            )
        },
        "/keys": {
            "get": _get(
                "API keys, 100 a page, the oldest first", _list("ApiKey"), keys.LIST_PARAMS
            ),
            "post": _changing("Make an API key; its secret is told once", "NewKey"),
        },
        "/keys/{hash}": {
            "get": _get("One API key", _data("ApiKey"), frozenset(), path="hash"),
            "patch": _changing("Change an API key; in force within 5 s", "KeyChange"),
            "delete": _get(
                "Delete an API key", fields({"deleted": {"const": True}}), frozenset(), path="hash"
            ),
        },
        "/key": {"get": _get("The calling key", _data("Key"), frozenset())},
        "/auth/key": {"get": _get("The calling key, as /key", _data("Key"), frozenset())},
        "/routing/explain": {"post": _explain()},
        "/models": {"get": _open(_get("Models served here", _ref("Models"), frozenset()))},
        "/models/{model}/endpoints": {
            "get": _open(
                _get("A model's endpoints", _data("ModelEndpoints"), frozenset(), path="model")
            )
        },
        "/openapi.json": {"get": _open(_get("This document", {"type": "object"}, frozenset()))},
        "/healthz": {
            "servers": at_root,
            "get": _open(_get("Alive", fields(health), frozenset())),
        },
        "/readyz": {
            "servers": at_root,
            "get": _open(_get("Ready to serve; 503 when not", fields(health), frozenset())),
        },
    }


def _get(
    summary: str,
    answer: Json,
    params: frozenset[str],
    *,
    needed: Iterable[str] = (),
    path: str | None = None,
) -> Json:
    described: list[Json] = []
    if path is not None:
        described.append(
            {
                "name": path,
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "description": _PATH_PARAMETERS[path],
            }
        )
    for name in sorted(params):
        schema, words = _PARAMETERS[name]
        described.append(
            {
                "name": name,
                "in": "query",
                "required": name in set(needed),
                "schema": schema,
                "description": words,
            }
        )
    return {"summary": summary, "parameters": described, "responses": _responses(answer)}


def _external_user(summary: str, *, body: str | None = None) -> Json:
    path = None if body == "NewExternalUser" else "user"
    described = _get(summary, _data("ExternalUser"), frozenset(), path=path)
    answers = described["responses"]
    if path is None:
        answers["201"] = answers.pop("200")
    return described if body is None else described | {"requestBody": _body(_ref(body))}


def _without_answer(described: Json) -> Json:
    answers = {"204": {"description": "Done."}, "default": described["responses"]["default"]}
    return described | {"responses": answers}


def _export() -> Json:
    known = {**_PARAMETERS, **_EXPORT_PARAMETERS}
    media = ("text/csv", "application/jsonl", "application/vnd.apache.parquet", "application/pdf")
    answers = _responses({"type": "string"}, media[0])
    answers["200"]["content"] |= {name: {"schema": {"type": "string"}} for name in media}
    return {
        "summary": "Every request, or any report, as a file",
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": words}
            for name in sorted(export.PARAMS)
            for schema, words in [known[name]]
        ],
        "responses": answers,
    }


def _changing(summary: str, body: str) -> Json:
    if body == "NewKey":
        made = _responses(
            fields({"data": _ref("ApiKey"), "key": TEXT, **_SIGNING}, optional=_SIGNING)
        )
        answers = {"201": made["200"], "default": made["default"]}
        return {"summary": summary, "requestBody": _body(_ref(body)), "responses": answers}
    changed = fields({"data": _ref("ApiKey"), **_SIGNING}, optional=_SIGNING)
    described = _get(summary, changed, frozenset(), path="hash")
    return described | {"requestBody": _body(_ref(body))}


def _open(operation: Json) -> Json:
    return operation | {"security": []}


def _responses(answer: Json, content: str = "application/json") -> Json:
    return {
        "200": {"description": "The answer.", "content": {content: {"schema": answer}}},
        "default": {
            "description": "What went wrong, and what helps.",
            "content": {"application/json": {"schema": _ref("Error")}},
        },
    }


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _chat() -> Json:
    answers = _responses(_ref("Completion"))
    # A stream of server-sent events: each has a chunk of the answer, the last one usage and cost.
    answers["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "summary": "Chat, streamed or not; `user` names the end user",
        "requestBody": _body(_ref("ChatRequest")),
        "responses": answers,
    }


def _explain() -> Json:
    return {
        "summary": "Where a chat request would go, and why, without sending it",
        "requestBody": _body(_ref("ChatRequest")),
        "responses": _responses(_data("Explained")),
    }


def _query() -> Json:
    """Describe the query: its enums are the definitions."""
    text = {"type": "string"}
    asked: Json = {
        "type": "object",
        "additionalProperties": False,
        "required": ["metrics"],
        "properties": {
            "metrics": _names(METRIC_NAMES) | {"minItems": 1},
            "dimensions": _names(DIMENSION_NAMES),
            "filters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "operator", "value"],
                    "properties": {
                        "field": {"enum": list(DIMENSION_NAMES)},
                        "operator": {"enum": list(OPERATORS)},
                        "value": {},
                        "include_unset": {"type": ["boolean", "null"]},
                    },
                },
            },
            "granularity": {"enum": [*STEPS, None]},
            "time_zone": text | {"default": "UTC"},
            "time_range": {
                "type": "object",
                "required": ["start", "end"],
                "properties": {"start": text, "end": text},
            },
            "order_by": {
                "type": "object",
                "required": ["field", "direction"],
                "properties": {"field": text, "direction": {"enum": ["asc", "desc"]}},
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST},
            "group_limit": {"type": ["integer", "null"], "minimum": 1},
        },
    }
    return {
        "summary": "Any metrics by any dimensions",
        "requestBody": _body(asked),
        "responses": _responses(_data("AnalyticsAnswer")),
    }


def _names(known: Mapping[str, str]) -> Json:
    words = {name: METRICS[own].help for name, own in known.items() if own in METRICS}
    words |= {name: DIMENSIONS[own].help for name, own in known.items() if own in DIMENSIONS}
    listed = "\n".join(f"- `{name}`: {text}" for name, text in words.items())
    return {"type": "array", "items": {"enum": list(known)}, "description": listed}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _data(name: str) -> Json:
    return fields({"data": _ref(name)})


def _list(name: str) -> Json:
    return fields({"data": {"type": "array", "items": _ref(name)}})


def _ranked(name: str) -> Json:
    cut = "Who was not looked at, where a figure is not read of everybody's requests."
    page = _page(name)["properties"]
    return fields({**page, "cut": {"type": ["string", "null"], "description": cut}})


def _page(name: str) -> Json:
    return fields(
        {
            "data": {"type": "array", "items": _ref(name)},
            "next_cursor": {"type": ["string", "null"]},
        }
    )
