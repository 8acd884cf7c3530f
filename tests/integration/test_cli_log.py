import logging

from regulars.cli.banner import banner
from regulars.cli.listen import address_for_people
from regulars.cli.log import EventFormatter
from regulars.demo.servers import demo_catalog


def line(message: str, **fields: object) -> str:
    record = logging.makeLogRecord(
        {"name": "regulars.x", "levelname": "INFO", "msg": message, "created": 0.0, **fields}
    )
    return EventFormatter().format(record)


def test_an_event_is_one_line_of_fields() -> None:
    assert line("attempt_failed", generation_id="gen-1", status=502) == (
        "1970-01-01T00:00:00.000Z info regulars.x attempt_failed generation_id=gen-1 status=502"
    )


def test_a_value_that_could_be_mistaken_is_quoted() -> None:
    written = line("x", a="two words", b="k=v", c="", d="line\nbreak")

    assert written.endswith(r'a="two words" b="k=v" c="" d="line\nbreak"')


def test_an_exception_stays_on_the_line() -> None:
    error = ValueError("bad\nthing")

    written = line("failed", exc_info=(ValueError, error, None))

    assert "\n" not in written
    assert "ValueError: bad" in written


def test_a_message_cannot_forge_a_line() -> None:
    assert "\n" not in line("one\ntwo")


def test_the_banner_shows_new_keys_and_where_to_go() -> None:
    text = banner(
        address="http://127.0.0.1:1",
        catalog=demo_catalog(["http://a", "http://b", "http://c"]),
        where="demo",
        created=[("first", "sk-reg-x")],
        login="/login?token=t",
    )

    assert "http://127.0.0.1:1/api/v1" in text
    assert "Aurora, Boreal, Cascade (demo)" in text
    assert "demo/tiny-chat (3)" in text
    assert "sk-reg-x" in text
    assert "http://127.0.0.1:1/login?token=t" in text


def test_a_wildcard_address_is_shown_as_one_that_can_be_opened() -> None:
    assert address_for_people("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert address_for_people("::", 80) == "http://[::1]:80"
    assert address_for_people("localhost", 80) == "http://localhost:80"
