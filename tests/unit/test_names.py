"""What may stand in the id of an end user or a session."""

import pytest

from regulars.identity.name import accept_name
from regulars.model.errors import CallerError


@pytest.mark.parametrize(
    "name", ["user_12345", "a b", "é", "user@example.org", "x" * 512, "日本", "🙂"]
)
def test_ordinary_names_are_kept_as_they_are(name: str) -> None:
    assert accept_name(name, field="user", length_max=512) == name


def test_composed_and_decomposed_forms_are_one_name() -> None:
    assert accept_name("e\u0301", field="user", length_max=512) == "\u00e9"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "user: is empty"),
        ("x" * 513, "user: has 513 characters"),
        ("a\x00b", r"character 2 is U\+0000"),
        ("a\nb", r"character 2 is U\+000A"),
        ("\x7f", r"U\+007F"),
        ("\x85", r"U\+0085"),
        ("\ud800", r"U\+D800"),
    ],
)
def test_hostile_names_are_refused_without_being_repeated(name: str, said: str) -> None:
    with pytest.raises(CallerError, match=said):
        accept_name(name, field="user", length_max=512)
