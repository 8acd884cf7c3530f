from hypothesis import given
from hypothesis import strategies as st

from regulars.web.tokens import HOME, form_token, local_path, same, sign, verify

SECRET = b"s" * 32
HASH = "ab" * 32


def test_token_names_its_key_until_it_expires() -> None:
    token = sign(SECRET, "session", HASH, 1000)

    assert verify(SECRET, token, "session", 999.9) == HASH
    assert verify(SECRET, token, "session", 1000) is None


def test_token_of_another_kind_or_secret_is_refused() -> None:
    token = sign(SECRET, "link", HASH, 1000)

    assert verify(SECRET, token, "session", 0) is None
    assert verify(b"other" * 8, token, "link", 0) is None


def test_form_token_is_no_session() -> None:
    token = sign(SECRET, "session", HASH, 1000)
    claim = token.rpartition(".")[0]

    forged = f"{claim}.{form_token(SECRET, claim)}"

    assert verify(SECRET, forged, "session", 0) is None


@given(st.integers(0, 200), st.integers(1, 127))
def test_changing_any_character_breaks_the_token(place: int, shift: int) -> None:
    token = sign(SECRET, "session", HASH, 1000)
    at = place % len(token)
    changed = token[:at] + chr((ord(token[at]) + shift) % 128) + token[at + 1 :]

    assert verify(SECRET, changed, "session", 0) == (HASH if changed == token else None)


@given(st.text())
def test_garbage_is_no_token(text: str) -> None:
    assert verify(SECRET, text, "session", 0) is None


def test_empty_form_tokens_are_never_the_same() -> None:
    assert not same("", "")
    assert same("é", "é")
    assert not same("a", "b")


def test_next_stays_on_this_site() -> None:
    assert local_path("/users/a%2Fb?period=7d") == "/users/a%2Fb?period=7d"
    for elsewhere in (
        "https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example",
        "javascript:alert(1)", "", "activity", "/\nSet-Cookie:x", "/login?next=/", "/logout",
        "/" + "a" * 5000, "/\u2028",
    ):  # fmt: skip
        assert local_path(elsewhere) == HOME
