"""Generation ids."""

import re

from hypothesis import given
from hypothesis import strategies as st

from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id

# From 2001 on seconds have ten digits, as long as they do ids sort as text.
times_us = st.integers(10**15, 10**16 - 1)
chance = st.integers(0, 2**GENERATION_RANDOM_BITS - 1)


@given(at_us=times_us, bits=chance)
def test_an_id_has_its_documented_form(at_us: int, bits: int) -> None:
    made = generation_id(at_us, bits)

    assert re.fullmatch(rf"gen-{at_us // 1_000_000}-[0-9A-Za-z]{{20}}", made)


@given(earlier=times_us, later=times_us, bits=chance, other_bits=chance)
def test_ids_sort_by_time(earlier: int, later: int, bits: int, other_bits: int) -> None:
    first, second = sorted((earlier, later))

    assert first == second or generation_id(first, bits) < generation_id(second, other_bits)


@given(at_us=times_us, bits=st.lists(chance, min_size=2, max_size=2, unique=True))
def test_chance_tells_ids_apart(at_us: int, bits: list[int]) -> None:
    assert generation_id(at_us, bits[0]) != generation_id(at_us, bits[1])
