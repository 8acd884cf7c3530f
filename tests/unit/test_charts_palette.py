from hypothesis import given
from hypothesis import strategies as st

from regulars.web.palette import COLOURS, OTHER, colours


@given(st.sets(st.text(), max_size=COLOURS))
def test_one_chart_never_uses_a_colour_twice(names: set[str]) -> None:
    chosen = colours(names)

    assert len({chosen[name] for name in names}) == len(names)


@given(st.lists(st.none() | st.text(), max_size=30), st.randoms())
def test_order_does_not_change_colours(names: list[str | None], chance: object) -> None:
    mixed = list(names)
    chance.shuffle(mixed)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - hypothesis gives a Random

    assert colours(mixed) == colours(names)


def test_a_name_alone_keeps_its_colour_on_every_page() -> None:
    alone = colours(["qwen/qwen3-235b"])["qwen/qwen3-235b"]

    assert colours(["qwen/qwen3-235b"])["qwen/qwen3-235b"] == alone == "c1"


def test_other_and_nobody_have_colours_of_their_own() -> None:
    chosen = colours(["a", None, OTHER])

    assert (chosen[None], chosen[OTHER]) == ("nobody", "other")
