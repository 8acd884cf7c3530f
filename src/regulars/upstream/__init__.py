"""The only code that opens sockets to providers: our HTTP/1.1 client and its keep-alive pools."""

from regulars.upstream.client import Upstream
from regulars.upstream.pool import PoolCounts
from regulars.upstream.response import Response
from regulars.upstream.route import Route

__all__ = ["PoolCounts", "Response", "Route", "Upstream"]
