"""All that is fixed about an endpoint's requests, made once at start."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from regulars.model.catalog import Catalog, Endpoint
from regulars.providers.openai.request import PATH
from regulars.upstream.client import Route, Upstream
from regulars.wire.answers import json_text


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """How to reach one endpoint: connection and head, and its model's name as JSON."""

    endpoint: Endpoint
    upstream: Route
    upstream_model: Raw


def endpoint_routes(catalog: Catalog, upstream: Upstream) -> Mapping[str, EndpointRoute]:
    """Prepare every endpoint, by id.

    Raises:
        ValueError: a base URL, header or key that cannot be sent.
    """
    return {
        endpoint.id: EndpointRoute(
            endpoint=endpoint,
            upstream=upstream.route(endpoint.provider, PATH),
            upstream_model=Raw(json_text(endpoint.upstream_model)),
        )
        for endpoint in catalog.endpoints
    }
