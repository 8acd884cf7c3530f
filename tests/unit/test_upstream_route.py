import pytest

from regulars import __version__
from regulars.config.settings import UpstreamSettings
from regulars.model.catalog import Provider
from regulars.upstream import Upstream
from regulars.upstream.origin import Origin, parse_base_url


def provider(
    base_url: str = "https://api.example.com/v1",
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
) -> Provider:
    return Provider("alpha", "Alpha", "openai", base_url, key=key, headers=headers or {})


def head_of(given: Provider, path: str = "/chat/completions") -> list[bytes]:
    route = Upstream(UpstreamSettings()).route(given, path)
    return route.terms.head.split(b"\r\n")


@pytest.mark.parametrize(
    ("base_url", "origin", "prefix", "authority"),
    [
        ("https://a.example/v1", Origin("https", "a.example", 443), "/v1", "a.example"),
        ("https://a.example:443", Origin("https", "a.example", 443), "", "a.example"),
        ("HTTP://A.example:8080/", Origin("http", "a.example", 8080), "", "a.example:8080"),
        ("http://[::1]:90/x/y/", Origin("http", "::1", 90), "/x/y", "[::1]:90"),
    ],
)
def test_base_url_gives_origin_and_prefix(
    base_url: str, origin: Origin, prefix: str, authority: str
) -> None:
    assert parse_base_url(base_url) == (origin, prefix)
    assert origin.authority == authority


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("ftp://a.example", "neither http nor https"),
        ("a.example/v1", "neither http nor https"),
        ("https://", "names no host"),
        ("https://a.example:0", "port 0"),
        ("https://a.example:99999", "bad port"),
        ("https://a.example:x", "bad port"),
        ("https://a.example/v1?x=hidden", "query or fragment"),
        ("https://a.example/v1#hidden", "query or fragment"),
        ("https://user:hidden@a.example", "user or password"),
        ("https://a.example/v1\r\nx: y", "control"),
        ("https://a.example/a b", "spaces"),
        ("https://bücher.example", "non-ASCII"),
    ],
)
def test_unusable_base_url_is_refused_without_showing_secrets(base_url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        head_of(provider(base_url))

    assert "hidden" not in str(caught.value)


def test_head_has_all_but_the_length() -> None:
    lines = head_of(provider(key="k-1", headers={"X-Org": "o"}))

    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert set(lines[1:-1]) == {
        b"host: api.example.com",
        b"user-agent: regulars/" + __version__.encode(),
        b"accept: application/json, text/event-stream",
        b"accept-encoding: identity",
        b"content-type: application/json",
        b"authorization: Bearer k-1",
        b"x-org: o",
    }
    assert lines[-1] == b"content-length: "


def test_no_key_means_no_authorization() -> None:
    assert not [line for line in head_of(provider()) if line.startswith(b"authorization")]


def test_provider_headers_replace_ours() -> None:
    lines = head_of(provider(key="k", headers={"User-Agent": "mine", "Authorization": "Basic eA"}))

    assert lines.count(b"user-agent: mine") == 1
    assert [line for line in lines if line.startswith(b"authorization")] == [
        b"authorization: Basic eA"
    ]


@pytest.mark.parametrize(
    "given",
    [
        provider(key="hidden\r\nx: y"),
        provider(key="hidden\0"),
        provider(key=""),
        provider(key="hidden€"),
        provider(headers={"x-a": "hidden\nb"}),
        provider(headers={"x-a": "hidden\0"}),
        provider(headers={"x a": "b"}),
        provider(headers={"x-a\r\nx-b": "b"}),
        provider(headers={"": "b"}),
        provider(headers={"Content-Length": "1"}),
        provider(headers={"transfer-encoding": "chunked"}),
        provider(headers={"Host": "other.example"}),
    ],
)
def test_headers_that_would_break_the_request_are_refused(given: Provider) -> None:
    with pytest.raises(ValueError, match="alpha") as caught:
        head_of(given)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "chat", "/a b", "/a\r\nx: y", "/ü"])
def test_paths_that_would_break_the_request_are_refused(path: str) -> None:
    given = provider("https://api.example.com")

    with pytest.raises(ValueError, match="path"):
        head_of(given, path)


def test_routes_to_one_origin_share_their_pool() -> None:
    upstream = Upstream(UpstreamSettings())

    first = upstream.route(provider("https://a.example/v1"), "/chat/completions")
    second = upstream.route(provider("https://a.example:443/v2"), "/embeddings")
    other = upstream.route(provider("http://a.example/v1"), "/chat/completions")

    assert first.pool is second.pool
    assert first.pool is not other.pool
    assert set(upstream.connections()) == {"https://a.example", "http://a.example"}
