import ssl
from datetime import UTC, datetime

import pytest
import trustme

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import STREAM, Run, calling, on_both_loops
from regulars.model.errors import UpstreamClosedError, UpstreamConnectError

pytestmark = on_both_loops


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_is_verified_and_kept_alive(run: Run) -> None:
    authority = trustme.CA()

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, tls=trusting(authority)) as caller:
            for _ in range(3):
                assert (await caller.ask(STREAM))[0] == 200
            pieces = (b"x" * 70_000, memoryview(b"y" * 3_000_000), b"z")
            assert (await caller.ask(pieces))[0] == 200
            assert caller.counts.idle == 1

    tls = server_context(authority.issue_cert("localhost"))
    with ScriptedProvider(tls=tls, host_name="localhost") as provider:
        provider.enqueue(Script(), Script(), Script(), Script(body=b"ok"))
        run(scenario(provider))

    assert provider.connections == 1
    assert provider.requests[-1].body == b"x" * 70_000 + b"y" * 3_000_000 + b"z"
    assert provider.requests[0].headers["host"] == f"localhost:{provider.port}"


def test_a_certificate_for_another_host_is_refused(run: Run) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("other.example")

    assert "ostname mismatch" in refusal(run, certificate, trusting(authority))


def test_an_expired_certificate_is_refused(run: Run) -> None:
    authority = trustme.CA()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = authority.issue_cert("localhost", not_before=past, not_after=past)

    assert "expired" in refusal(run, certificate, trusting(authority))


def test_a_certificate_of_an_unknown_authority_is_refused(run: Run) -> None:
    certificate = trustme.CA().issue_cert("localhost")

    assert "issuer" in refusal(run, certificate, None)


def refusal(run: Run, certificate: trustme.LeafCert, tls: ssl.SSLContext | None) -> str:
    async def scenario(provider: ScriptedProvider) -> str:
        async with calling(provider, tls=tls) as caller:
            with pytest.raises(UpstreamConnectError, match="certificate") as caught:
                await caller.ask()
            assert caller.counts.open == 0
            return str(caught.value)

    with ScriptedProvider(tls=server_context(certificate), host_name="localhost") as provider:
        said: str = run(scenario(provider))
    assert provider.requests == []
    return said


def test_a_server_that_speaks_no_tls_is_a_connect_error(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        url = provider.url.replace("http://", "https://")
        async with calling(url, connect_s=1) as caller:
            with pytest.raises(UpstreamConnectError):
                await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))


@pytest.mark.parametrize("how", ["close_after", "reset_after"])
def test_a_stream_cut_short_under_tls_is_a_closed_error(run: Run, how: str) -> None:
    authority = trustme.CA()

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, tls=trusting(authority)) as caller:
            with pytest.raises(UpstreamClosedError):
                await caller.ask(STREAM)

    tls = server_context(authority.issue_cert("localhost"))
    script = Script(**{how: 400})  # pyright: ignore[reportArgumentType] - a parameter of literals
    with ScriptedProvider(tls=tls, host_name="localhost", default=script) as provider:
        run(scenario(provider))
