"""Whatever stands in a query string: an answer or a precise refusal, never a mistake of ours."""

import json
from collections.abc import Generator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.provider import ScriptedProvider
from fakes.running_gateway import WAIT_S, RunningGateway, running_gateway

ROUTES = ("generation", "generations", "activity", "key", "models", "models/test/tiny/endpoints")
NAMES = (
    "id", "user", "model", "provider", "api_key_hash", "from", "to", "date", "limit", "cursor",
    "group_by", "nonsense", "", "%", "a[b]",
)  # fmt: skip
NASTY = (
    "", "%", "%zz", "%00", "a%00b", "%ff%fe", "%ED%A0%80", "%F0%9F", "+", "%2B", ";", "&&&==", "\\",
    "x" * 10_000, "%F0%9F%98%80" * 600, "-1", "0", "1", "101", "1e400", "NaN", "9" * 5000,
    "000000001" + "9" * 5000, "2026-01-01", "2026-02-30", "9998-12-31", "9999-12-31", "0000-00-00",
    "0001-01-01T00:00:00", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999999", "2026-01-01T24:00:00", "2026-01-01T00:00:00+24:00", "2026-W01-1",
    "20260101", "T", "2026-01-01T", "T00:00:00Z", "user", "null", "'%20OR%201=1%20--", "test/tiny",
    "%E2%80%AEgnp.exe", "%0d%0aX-Injected:%201",
)  # fmt: skip

values = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40).map(lambda text: quote(text, errors="replace")),
    st.binary(max_size=40).map(quote),
    st.datetimes().map(lambda at: quote(at.isoformat())),
    st.integers().map(str),
)
queries = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path_factory.mktemp("hostile"), [provider]) as running,
    ):
        running.chat(user="user")
        yield running


@pytest.fixture(scope="module")
def connection(gateway: RunningGateway) -> Generator[HTTPConnection]:
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=WAIT_S)) as opened:
        yield opened


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(route=st.sampled_from(ROUTES), query=queries)
def test_no_query_is_a_mistake_of_ours(
    gateway: RunningGateway, connection: HTTPConnection, route: str, query: str
) -> None:
    headers = {"Authorization": f"Bearer {gateway.management_key}"}
    connection.request("GET", f"/api/v1/{route}?{query}", headers=headers)
    got = connection.getresponse()
    body = json.loads(got.read())

    assert got.status in {200, 400, 404}
    assert ("data" in body) == (got.status == 200)
    if got.status != 200:
        assert body["error"]["code"] == got.status
        assert len(body["error"]["message"]) < 500
    assert "x-injected" not in {name.lower() for name, _ in got.getheaders()}


@pytest.mark.parametrize("route", ["generation", "generations", "activity"])
def test_no_single_value_is_a_mistake_of_ours(
    gateway: RunningGateway, connection: HTTPConnection, route: str
) -> None:
    known = {"generation": NAMES[:1], "generations": NAMES[:10], "activity": NAMES[1:11]}[route]

    mistakes = [
        (name, value[:50])
        for name in known
        for value in NASTY
        if status_of(gateway, connection, f"/api/v1/{route}?{name}={value}") >= 500
    ]

    assert mistakes == []


def status_of(gateway: RunningGateway, connection: HTTPConnection, path: str) -> int:
    headers = {"Authorization": f"Bearer {gateway.management_key}"}
    connection.request("GET", path, headers=headers)
    got = connection.getresponse()
    got.read()
    return got.status


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/generations?user=\xff",
        b"/api/v1/generations?user=\xc3\xa9",
        b"/api/v1/\xff\xfe",
        b"/api/v1/models/\x01/endpoints",
        b"/%",
        b"//",
        b"*",
        b"http://other/api/v1/models",
        b"/api/v1/models/" + b"a/" * 3000 + b"endpoints",
    ],
)
def test_no_request_target_is_a_mistake_of_ours(gateway: RunningGateway, target: bytes) -> None:
    head = b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nConnection: close\r\n\r\n"
    with gateway.connect() as raw:
        raw.sendall(head % (target, gateway.management_key.encode()))
        got = b""
        while piece := raw.recv(65_536):
            got += piece

    status = int(got.split(b" ", 2)[1])
    assert 200 <= status < 500, got[:500]
    assert b'"data"' in got if status == 200 else b"Traceback" not in got
