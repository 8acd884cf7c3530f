"""How long providers say they keep a prompt in their cache: a literal table.

Read November 2026 (openrouter-api.md section 2.5). A configuration overrides it. Who is not
here has published no figure: the router learns it (`learning.py`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DOCUMENTED_S: Final[Mapping[str, float]] = MappingProxyType(
    {
        "anthropic": 300.0,
        "alibaba": 300.0,
        # "3 to 5 minutes": believing too long costs more than believing too short.
        "google": 180.0,
        "google-ai-studio": 180.0,
        "google-vertex": 180.0,
    }
)
"""By provider slug, in seconds after the last use."""
ASKED_S: Final[Mapping[str, float]] = MappingProxyType({"5m": 300.0, "1h": 3600.0})
"""What a request's `cache_control.ttl` asks for."""


def documented_s(provider: str) -> float | None:
    """Return a provider's documented cache life, None when it has to be learned."""
    return DOCUMENTED_S.get(provider)
