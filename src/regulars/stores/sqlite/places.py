"""Where a generation stands in its table: the row number is its time and some of its chance.

Ids are made from the microsecond of acceptance and 60 random bits (`model.ids`). The row number
is that microsecond, shifted, with the last bits of the chance below it. So row order is time
order: a listing by time, a range of time and a lookup by id all walk the table itself and need
no index. What is left of the id, its chance, is kept as a number beside it.

An id of another form, or one whose place is taken (two in one microsecond with the same last
bits), stands at the next free place of its microsecond; the table `odd_id` says where.
"""

from typing import Final

from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id

PLACE_BITS: Final = 11
"""52 bits of microseconds reach the year 2112; a row number has 63."""

TIME_MAX_US: Final = (1 << 63 - PLACE_BITS) - 1
PLACES: Final = 1 << PLACE_BITS
ROW_MAX: Final = (1 << 63) - 1
_LOW: Final = PLACES - 1
_TAIL_DIGITS: Final = 20
_MICROS_DIGITS: Final = 5
_CHANCE_MASK: Final = (1 << GENERATION_RANDOM_BITS) - 1
_PREFIX: Final = "gen-"


def chance_of(generation_id_: str, created_at_us: int) -> int | None:
    """Return the random part of an id of our own form, made at this time; else None."""
    try:
        chance = int(generation_id_[-_TAIL_DIGITS:], 16) & _CHANCE_MASK
    except ValueError:
        return None
    # int() takes signs, spaces and capitals that we never write.
    return chance if generation_id(created_at_us, chance) == generation_id_ else None


def time_of(generation_id_: str) -> int | None:
    """Return the microsecond an id of our own form was made at; else None."""
    _, _, rest = generation_id_.partition(_PREFIX)
    seconds, _, tail = rest.partition("-")
    try:
        at_us = int(seconds) * 1_000_000 + int(tail[:_MICROS_DIGITS], 16)
    except ValueError:
        return None
    return None if chance_of(generation_id_, at_us) is None else at_us


def place(created_at_us: int, chance: int) -> int:
    """Return the row number of an id of our own form."""
    return created_at_us << PLACE_BITS | chance & _LOW


def bound(at_us: int) -> int:
    """Return the lowest row number of a microsecond; beyond all rows for a time beyond them."""
    return min(max(at_us, -TIME_MAX_US), TIME_MAX_US) << PLACE_BITS


def time_at(row: int) -> int:
    """Return the microsecond of a row number."""
    return row >> PLACE_BITS
