"""What the schema cannot judge alone: names that must exist, ids that must differ, prices.

Works on the tables as written, so that these problems are found beside those of the schema.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from regulars.config.judge import suggestion
from regulars.config.problems import Problem, dotted, shown
from regulars.config.schema import EndpointTable
from regulars.model.addresses import is_forbidden

Tables = Mapping[str, Any]


def reference_problems(tables: Tables, env: Mapping[str, str]) -> list[Problem]:
    """Find every reference that leads nowhere."""
    return [
        *_unset_keys(tables, env),
        *_forbidden_addresses(tables),
        *_unknown_providers(tables),
        *_duplicate_ids(tables),
        *_nothing_served(tables),
        *_report_problems(tables, env),
    ]


def default_ids(model: str, endpoints: list[EndpointTable]) -> list[str]:
    """Name a model's endpoints: `provider/model`, whatever their order.

    Where one provider offers the model twice, `provider/model@upstream_model` tells both apart.
    """
    counts = Counter(endpoint.provider for endpoint in endpoints if endpoint.id is None)
    return [
        endpoint.id or _default_id(model, endpoint, alone=counts[endpoint.provider] == 1)
        for endpoint in endpoints
    ]


def _default_id(model: str, endpoint: EndpointTable, *, alone: bool) -> str:
    name = f"{endpoint.provider}/{model}"
    return name if alone else f"{name}@{endpoint.upstream_model}"


def _unset_keys(tables: Tables, env: Mapping[str, str]) -> Iterator[Problem]:
    for slug, table in _tables_in(tables, "providers"):
        name = table.get("key_env")
        if not isinstance(name, str) or not _names_a_variable(name):
            continue
        key = env.get(name, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            yield Problem(
                path=dotted(("providers", slug, "key_env")),
                value=repr(name),
                message="that variable holds what no key can"
                if key
                else "that variable is not set",
                fix=f"export {name}=… with the provider's key, or remove this line",
            )


def _forbidden_addresses(tables: Tables) -> Iterator[Problem]:
    # Names are judged when they are connected to: where they lead may change.
    for slug, table in _tables_in(tables, "providers"):
        base_url = table.get("base_url")
        if isinstance(base_url, str) and not table.get("allow_link_local"):
            host = _host(base_url)
            if is_forbidden(host):
                yield Problem(
                    path=dotted(("providers", slug, "base_url")),
                    value=repr(host),
                    message="link-local, or a cloud's metadata service",
                    fix="write the model server's own address; "
                    "set allow_link_local = true if this one is meant",
                )


def _host(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""  # the schema complains of it


def _names_a_variable(name: str) -> bool:
    # Otherwise the schema has complained, and it may be the key itself: don't repeat it.
    return name.isascii() and name.isupper() and name.replace("_", "A").isalnum()


def _unknown_providers(tables: Tables) -> Iterator[Problem]:
    known = [slug for slug, _ in _tables_in(tables, "providers")]
    for model, index, endpoint in _endpoints_in(tables):
        provider = endpoint.get("provider")
        if isinstance(provider, str) and provider not in known:
            yield Problem(
                path=dotted(("models", model, "endpoints", index, "provider")),
                value=shown(provider),
                message="no such provider",
                fix=f"add [providers.{provider}]: {suggestion(provider, known)}",
            )


def _duplicate_ids(tables: Tables) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for model, table in _tables_in(tables, "models"):
        endpoints, places = _well_formed(model, table)
        for place, endpoint_id in zip(places, default_ids(model, endpoints), strict=True):
            if endpoint_id in seen:
                yield Problem(
                    path=f"{place}.id",
                    value=repr(endpoint_id),
                    message=f"the id of {seen[endpoint_id]} too",
                    fix='give this endpoint an `id` of its own, like "alpha/name-2"',
                )
            seen.setdefault(endpoint_id, place)


def _well_formed(model: str, table: Tables) -> tuple[list[EndpointTable], list[str]]:
    endpoints: list[EndpointTable] = []
    places: list[str] = []
    for index, written in enumerate(_list_in(table)):
        provider, upstream, name = (written.get(k) for k in ("provider", "upstream_model", "id"))
        if isinstance(provider, str) and isinstance(upstream, str):
            endpoints.append(
                EndpointTable.model_construct(
                    provider=provider,
                    upstream_model=upstream,
                    id=name if isinstance(name, str) else None,
                )
            )
            places.append(dotted(("models", model, "endpoints", index)))
    return endpoints, places


def _nothing_served(tables: Tables) -> Iterator[Problem]:
    providers, models = tables.get("providers"), tables.get("models")
    if providers and not models:
        yield Problem(
            path="models",
            value=None,
            message="there are providers, but no model to serve",
            fix='add [[models."author/name".endpoints]] with `provider` and `upstream_model`',
        )


def _report_problems(tables: Tables, env: Mapping[str, str]) -> Iterator[Problem]:
    seen: set[str] = set()
    found = tables.get("reports")
    reports: list[Any] = found if isinstance(found, list) else []
    for index, table in enumerate(reports):
        if not isinstance(table, dict):
            continue
        name, variable = table.get("name"), table.get("secret_env")
        if isinstance(name, str) and name in seen:
            yield Problem(
                path=dotted(("reports", index, "name")),
                value=repr(name),
                message="another report has this name",
                fix="name each differently: deliveries are told apart by it",
            )
        seen.add(str(name))
        if isinstance(variable, str) and _names_a_variable(variable) and not env.get(variable):
            yield Problem(
                path=dotted(("reports", index, "secret_env")),
                value=repr(variable),
                message="that variable is not set",
                fix=f"export {variable}=… with the secret the receiver checks signatures by",
            )


def _tables_in(tables: Tables, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = tables.get(section)
    if isinstance(found, dict):
        for name, table in found.items():
            if isinstance(table, dict):
                yield str(name), table


def _endpoints_in(tables: Tables) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for model, table in _tables_in(tables, "models"):
        for index, endpoint in enumerate(_list_in(table)):
            yield model, index, endpoint


def _list_in(table: Tables) -> list[dict[str, Any]]:
    """Endpoints as written; what is no table stands as an empty one, to keep the places."""
    found = table.get("endpoints")
    items: list[Any] = found if isinstance(found, list) else []
    return [item if isinstance(item, dict) else {} for item in items]
