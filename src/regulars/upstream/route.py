"""How one provider's path is called, worked out once."""

from dataclasses import dataclass

from regulars.upstream.exchange import Terms
from regulars.upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Route:
    """A pool and the terms of every exchange over it; made by `Upstream.route`."""

    pool: Pool
    terms: Terms
