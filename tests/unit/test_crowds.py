"""Counting addresses without keeping them."""

from random import Random

import pytest

from regulars.identity.crowds import BUCKETS, addresses_in, bucket_of


def buckets(count: int, *, salt: bytes = b"day") -> int:
    chance = Random(count)
    taken = 0
    for _ in range(count):
        taken |= bucket_of(salt, f"198.51.{chance.getrandbits(8)}.{chance.getrandbits(24)}")
    return taken


@pytest.mark.parametrize("count", [1, 10, 100, 300, 500, 1000])
def test_addresses_are_counted_to_a_tenth(count: int) -> None:
    assert addresses_in(buckets(count)) == pytest.approx(count, rel=0.1, abs=1)


def test_more_than_can_be_counted_is_many() -> None:
    assert addresses_in(2**BUCKETS - 1) > 4000


def test_another_day_has_other_buckets() -> None:
    assert bucket_of(b"one", "198.51.100.7") != bucket_of(b"two", "198.51.100.7")
