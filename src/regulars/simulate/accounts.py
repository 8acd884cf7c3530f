"""Deals a trace's sessions to few users, as unevenly as real API accounts ask.

The shares are those of ServeGen's clients of one production model in its busiest window. Every
user gets a leading prompt of his own, so that no two users share a prefix.
"""

import csv
import gzip
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec

from regulars.simulate.trace import Request, TraceError

MODEL: Final = "reason/deepseek-r1"
PROMPT_TOKENS: Final = 4096


def read_shares(path: Path, model: str = MODEL) -> list[float]:
    """Return the request shares of a model's clients in its busiest window, largest first.

    Raises:
        TraceError: the file cannot be read, or names no such model.
    """
    windows: dict[tuple[float, str], list[float]] = {}
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["model"] == model:
                    window = (float(row["window_total_rate"]), row["window_start_s"])
                    windows.setdefault(window, []).append(float(row["rate_req_per_s"]))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{path}: not a table of client rates: {error}") from error
    if not windows:
        raise TraceError(f"{path}: has no client of {model}")
    rates = sorted(windows[max(windows)], reverse=True)
    return [rate / sum(rates) for rate in rates]


def deal(requests: Iterable[Request], shares: Sequence[float]) -> Iterator[Request]:
    """Give every session to one of as many users as there are shares, by its digest."""
    bounds = list(accumulate(shares))
    for request in requests:
        digest = blake2b(request.session.encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "big") / 2**64 * bounds[-1]
        number = min(bisect(bounds, place), len(bounds) - 1)
        user = f"account-{number + 1}"
        prompt_blocks = PROMPT_TOKENS // request.block_tokens
        # A block's id stands for all before it: behind another user's prompt it is another.
        prompt = [f"{user}/{index}" for index in range(prompt_blocks)]
        yield msgspec.structs.replace(
            request,
            user=user,
            input_tokens=request.input_tokens + prompt_blocks * request.block_tokens,
            blocks=[*prompt, *(f"{user}:{block}" for block in request.blocks)],
        )
