"""Why an endpoint was chosen, and how a generation ended, in plain words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from regulars.model.generation import CostSource

ROUTING_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "warm-session": "Stayed: this conversation's prompt cache is warm here.",
        "warm-user": "A new conversation of a regular: this user's cache is warm here.",
        "idle": "Back after a pause: went where this user was last.",
        "cold": "First visit: placed by the user's own order, at the least loaded of the first few.",
        "heavy": "A heavy user: conversations are spread over a few endpoints.",
        "valve": "The warm endpoint was overloaded, so this request moved on.",
        "failover": "The endpoint before it failed, so this one was tried.",
        "order": "The request's own provider order put it here.",
        "sort": "The request's own sort put it here.",
        "burst": "Beside an unanswered first request of this user, so that both share a cache.",
        "opted-out": "The request opted out of stickiness and went where load was least.",
        "holdout": "One of the users routed without warmth, to measure what warmth is worth.",
        "only": "The request allowed only this provider.",
        "only-one": "The only endpoint that serves this model.",
        "unshared": "Placed by hash: this node shares nothing with others.",
    }
)

OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "completed": "Answered to the end.",
        "failed": "Every endpoint tried failed, or the answer broke off.",
        "cancelled": "The client left before the end.",
        "refused": "Never reached a provider.",
        "interrupted": "The gateway stopped while this was under way.",
    }
)

COSTS: Final[Mapping[CostSource | None, str]] = MappingProxyType(
    {
        CostSource.COMPUTED: "US dollars: tokens times price",
        CostSource.ESTIMATED: "US dollars: estimated tokens times price",
        CostSource.REPORTED: "US dollars, as the provider charged it",
        CostSource.INSURED: "Free: the answer came to nothing",
    }
)


def routing_words(reason: str) -> str:
    """Explain a routing reason; one we don't know is shown as it is."""
    return ROUTING_REASONS.get(reason, reason)
