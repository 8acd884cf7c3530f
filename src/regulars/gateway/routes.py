"""All that is fixed about an endpoint's requests, made once at start."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from regulars.exchange.exchange import Accepted
from regulars.identity.pseudonym import PseudonymOf
from regulars.model.catalog import Catalog, Endpoint
from regulars.providers.openai.disclosure import Asker
from regulars.providers.openai.request import PATH, encode
from regulars.upstream.client import Route, Upstream
from regulars.wire.answers import json_text
from regulars.wire.chat import ChatRequest
from regulars.wire.pieces import Body


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """How to reach one endpoint: connection and head, and its model's name as JSON."""

    endpoint: Endpoint
    upstream: Route
    upstream_model: Raw
    pseudonym: PseudonymOf

    def body(self, request: ChatRequest, accepted: Accepted) -> Body:
        """Write what this endpoint gets."""
        asker = Asker(accepted.account, accepted.end_user, accepted.session, self.pseudonym)
        disclosure = self.endpoint.provider.disclosure
        return encode(request, self.upstream_model, disclosure=disclosure, asker=asker)


def endpoint_routes(
    catalog: Catalog, upstream: Upstream, pseudonym: PseudonymOf
) -> Mapping[str, EndpointRoute]:
    """Prepare every endpoint, by id.

    Raises:
        ValueError: a base URL, header or key that cannot be sent.
    """
    return {
        endpoint.id: EndpointRoute(
            endpoint=endpoint,
            upstream=upstream.route(endpoint.provider, PATH),
            upstream_model=Raw(json_text(endpoint.upstream_model)),
            pseudonym=pseudonym,
        )
        for endpoint in catalog.endpoints
    }
