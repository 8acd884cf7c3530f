"""What a provider may do though few do: odd answers, no usage, redirects, limits."""

from collections.abc import Generator

import pytest

from fakes.faulty_gateway import FaultyGateway, faulty_gateway, one_model
from fakes.provider import Script, ScriptedProvider, error_script
from fakes.provider_faults import DENIED_HTML, TEXT, Fault, check_error, model_of
from regulars.model.generation import Outcome, UsageSource

FINE = {
    "cut-at-every-byte": Script(cut_every=1, cut_pause_s=0.0),
    "cut-at-every-seventh": Script(cut_every=7, cut_pause_s=0.0),
    "crlf": Script(newline="\r\n"),
    "crlf-cut-at-every-byte": Script(newline="\r\n", cut_every=1, cut_pause_s=0.0),
    "comments": Script(comment="ping"),
    "comments-crlf": Script(comment="ping", newline="\r\n"),
    "three-events-a-write": Script(events_per_write=3),
    "all-events-in-one-write": Script(events_per_write=100),
    "no-done": Script(done=False),
    "usage-twice": Script(usage="twice"),
    "usage-at-the-finish": Script(usage="finish"),
    "usage-in-every-chunk": Script(usage="every"),
    "usage-unasked": Script(usage="last"),
    "read-to-the-close": Script(framing="close"),
    "http-1.0": Script(http="1.0", framing="close"),
    "gzip": Script(compress="gzip"),
    "deflate": Script(compress="deflate"),
    "interim-answers": Script(interim=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3),
    "one-chunk": Script(chunks=1),
    "closes-quietly": Script(close_quietly=True),
}
UNCOUNTED = {"usage-missing": Script(usage="missing")}
REDIRECTS = (301, 302, 303, 307, 308)
LIMITS = {"7": "7", "0.2": "1", "999999": "3600", "soon": None, "-5": "0", "": None}
"""What the provider says in Retry-After → what the client is told."""

NAMES = (*FINE, *UNCOUNTED, *REDIRECTS, *(f"limit{said}" for said in LIMITS))
FORMS = ("whole", "stream")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyGateway]:
    with (
        ScriptedProvider() as provider,
        faulty_gateway(
            tmp_path_factory.mktemp("oddities"),
            provider,
            names=[f"{name}-{form}" for name in NAMES for form in FORMS],
            models=[one_model(f"two-{form}", [provider.url, provider.url]) for form in FORMS],
        ) as running,
    ):
        yield running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FINE)
def test_an_odd_but_good_answer_is_passed_on_whole(
    faulty: FaultyGateway, name: str, stream: bool
) -> None:
    seen = faulty.meet(model_of(name, stream=stream), FINE[name], stream=stream)

    last = seen.answer.events[-1] if stream else seen.answer.json
    text = seen.answer.text if stream else last["choices"][0]["message"]["content"]
    assert seen.answer.status == 200
    assert text == TEXT
    assert seen.rows_added == 1
    assert seen.row.outcome is Outcome.COMPLETED
    assert seen.row.usage_source is UsageSource.REPORTED
    assert seen.row.usage is not None
    assert seen.row.usage.completion_tokens == len(TEXT) // 4
    assert last["usage"]["completion_tokens"] == len(TEXT) // 4
    assert [attempt.error for attempt in seen.row.attempts] == [None]
    if stream:
        assert seen.answer.data[-1] == "[DONE]"
        assert ["usage" in event for event in seen.answer.events].count(True) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_usage_nobody_counted_is_estimated(faulty: FaultyGateway, stream: bool) -> None:
    model = model_of("usage-missing", stream=stream)
    seen = faulty.meet(model, UNCOUNTED["usage-missing"], stream=stream)

    assert seen.answer.status == 200
    assert (seen.rows_added, seen.row.outcome) == (1, Outcome.COMPLETED)
    assert seen.row.usage_source is UsageSource.ESTIMATED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_is_not_followed_and_says_why(
    faulty: FaultyGateway, status: int, stream: bool
) -> None:
    asked_before = len(faulty.provider.requests)
    elsewhere = f"{faulty.provider.url}/elsewhere"
    script = Script(status=status, headers={"Location": elsewhere}, body=b"")

    seen = faulty.meet(model_of(status, stream=stream), script, stream=stream)

    check_error(seen, Fault(script, words=f"answered {status}", upstream_status=status))
    assert "redirects are not followed" in seen.answer.json["error"]["message"]
    assert len(faulty.provider.requests) == asked_before + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("said", "passed_on"), LIMITS.items())
def test_a_limits_retry_after_is_passed_on_when_all_fail(
    faulty: FaultyGateway, said: str, passed_on: str | None, stream: bool
) -> None:
    headers = {"Retry-After": said} if said else {}
    script = error_script(429, "slow down", headers=headers)

    seen = faulty.meet(model_of(f"limit{said}", stream=stream), script, stream=stream)

    assert seen.answer.status == 429
    assert seen.answer.headers.get("retry-after") == passed_on


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_every_endpoint_that_failed_is_an_attempt_of_the_one_row(
    faulty: FaultyGateway, stream: bool
) -> None:
    model = model_of("two", stream=stream)
    seen = faulty.meet(model, Script(status=503, body=DENIED_HTML), stream=stream)

    assert seen.answer.status == 503
    assert seen.rows_added == 1
    assert [attempt.status for attempt in seen.row.attempts] == [503, 503]
