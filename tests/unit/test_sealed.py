"""Encrypted names: one for each id and account, opened by the keys that made them."""

from hypothesis import given
from hypothesis import strategies as st

from regulars.identity.sealed import Seals

OLD, NEW = bytes(32), bytes(range(32))
ids = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=600)


@given(user=ids)
def test_an_id_is_opened_as_it_was(user: str) -> None:
    seals = Seals([OLD])

    name = seals.seal("default", user)

    assert seals.open("default", name) == user
    assert seals.seal("default", user) == name
    assert user not in name or len(user) < 4


def test_a_name_says_nothing_without_its_key_and_account() -> None:
    name = Seals([OLD]).seal("default", "ada")

    assert Seals([NEW]).open("default", name) is None
    assert Seals([OLD]).open("other", name) is None
    assert Seals([OLD]).seal("other", "ada") != name
    assert Seals([NEW]).shown("default", name) == name


def test_after_a_rotation_both_keys_open_and_the_last_seals() -> None:
    before, both = Seals([OLD]), Seals([OLD, NEW])

    assert both.open("default", before.seal("default", "ada")) == "ada"
    assert both.seal("default", "ada") == Seals([NEW]).seal("default", "ada")


def test_what_is_no_sealed_name_is_not_opened() -> None:
    seals = Seals([OLD])

    for name in ("ada", "sealed_", "sealed_!", "sealed_" + "A" * 60, "sealed_ü"):
        assert seals.open("default", name) is None
        assert seals.shown("default", name) == name


def test_length_shows_to_32_bytes_only() -> None:
    seals = Seals([OLD])

    assert len({len(seals.seal("default", "a" * count)) for count in range(1, 33)}) == 1
