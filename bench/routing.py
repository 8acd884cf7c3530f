"""What a routing decision costs, on the router object as the gateway calls it.

CPU time, since other processes share the machine. `python -m bench.routing [--quick]` prints it
and the replays of `replays.py` as JSON.
"""

import json
import sys
import time
import timeit
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from itertools import cycle

from bench.replays import replays
from regulars.model.catalog import Endpoint, Provider
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys
from regulars.routing.warmhrw import Router

ROUNDS = 2000
REPEATS = 7
MEMORY_KEYS = 1_000_000
_GOLDEN = 0x9E3779B97F4A7C15


def endpoints(count: int, *, even: bool = True) -> tuple[Endpoint, ...]:
    """Make endpoints as a configuration would."""
    price = Price(prompt=Decimal("6e-7"), completion=Decimal("8e-7"), cache_read=Decimal("6e-8"))
    return tuple(
        Endpoint(
            id=f"provider-{n}/meta/llama-3.3-70b",
            model="meta/llama-3.3-70b",
            provider=Provider(
                slug=f"provider-{n}",
                name=f"provider-{n}",
                dialect="openai",
                base_url="http://x/v1",
                cache_ttl_s=300.0,
            ),
            upstream_model="llama",
            price=price,
            capacity=1.0 if even else 1.0 + n % 3,
        )
        for n in range(count)
    )


def keys(number: int) -> StickyKeys:
    """Make keys that no other number has."""
    session = (number * 2 + 1) * _GOLDEN % 2**64
    return StickyKeys(session, (number * 2 + 2) * _GOLDEN % 2**64)


def busy_router(lineup: tuple[Endpoint, ...]) -> tuple[Router, list[StickyKeys]]:
    """Make a router with load on every endpoint, far above the floor, and warm sessions."""
    router = Router()
    warm = [keys(n) for n in range(50 * len(lineup))]
    for n in range(len(warm)):
        choice = router.choose(lineup, keys(n), prompt_tokens=20_000, now_s=0.0)
        assert choice is not None, "nothing was tried"
        router.answered(choice, keys(n), Usage(20_000, 300, cached_tokens=0), 0.0)
    return router, warm


def microseconds(call: Callable[[], object]) -> float:
    """Time one call: the best of several rounds, which is what a quiet machine does."""
    best = min(timeit.repeat(call, timer=time.process_time, number=ROUNDS, repeat=REPEATS))
    return round(best / ROUNDS * 1e6, 2)


def decisions(count: int, *, even: bool = True) -> dict[str, float]:
    """Time `choose` warm and cold, and `choose` with `answered`."""
    lineup = endpoints(count, even=even)
    router, known = busy_router(lineup)
    usage = Usage(20_000, 300, cached_tokens=19_000)
    # In turn, so that no endpoint drowns in the measurement.
    warm = cycle(known)
    unknown = iter([keys(10_000_000 + n) for n in range(ROUNDS * REPEATS)])

    def choose_warm() -> None:
        router.choose(lineup, next(warm), prompt_tokens=20_000, now_s=1.0)

    def whole() -> None:
        who = next(warm)
        choice = router.choose(lineup, who, prompt_tokens=20_000, now_s=1.0)
        assert choice is not None, "nothing was tried"
        router.answered(choice, who, usage, 1.0)

    def choose_cold() -> None:
        router.choose(lineup, next(unknown), prompt_tokens=200, now_s=1.0)

    return {
        "cold_us": microseconds(choose_cold),
        "warm_us": microseconds(choose_warm),
        "warm_with_answer_us": microseconds(whole),
    }


def memory_mb(count: int = MEMORY_KEYS) -> float:
    """Fill the placements with keys and tell what they take."""
    router = Router()
    tracemalloc.start()
    for number in range(count):
        key = (number + 1) * _GOLDEN % 2**64
        at_s = number / 1000
        router.placements.put(
            key, ("provider-1/meta/llama-3.3-70b", at_s, 5000 + number, None), at_s
        )
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(router.placements) == count, "some were forgotten"
    return round(taken / 1e6, 1)


def main() -> None:
    """Measure and print JSON; `--quick` leaves out what takes more than seconds."""
    quick = "--quick" in sys.argv[1:]
    measured = {
        "endpoints_8": decisions(8),
        "endpoints_8_weighted": decisions(8, even=False),
        "endpoints_64": decisions(64),
        "endpoints_64_weighted": decisions(64, even=False),
        "memory_mb_1m_keys": None if quick else memory_mb(),
        "replays": [asdict(figure) for figure in replays(quick=quick)],
    }
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
