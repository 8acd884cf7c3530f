"""Endpoints at link-local or metadata addresses are not called, whatever they are called."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.faulty_gateway import faulty_gateway, one_model
from fakes.provider import Script, ScriptedProvider
from regulars.config.load import Prices, load
from regulars.config.problems import ConfigError
from regulars.config.settings import UpstreamSettings
from regulars.config.sources import Sources
from regulars.model.catalog import Provider, Timeouts
from regulars.model.errors import UpstreamConnectError
from regulars.model.generation import Outcome
from regulars.model.money import Price
from regulars.upstream import Route, Upstream
from regulars.upstream.addresses import ForbiddenAddressError, open_socket

HIDDEN = "http://2852039166:9/v1"
"""169.254.169.254 as a name: only a look-up shows where it leads."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_address_a_name_leads_to_is_judged(tmp_path: Path, stream: bool) -> None:
    with (
        ScriptedProvider() as provider,
        faulty_gateway(tmp_path, provider, models=[one_model("hidden", [HIDDEN])]) as faulty,
    ):
        seen = faulty.meet("hidden", Script(), stream=stream)

    message = seen.answer.json["error"]["message"]
    assert seen.answer.status == 502
    assert "169.254.169.254 is link-local" in message
    assert "allow_link_local" in message
    assert (seen.rows_added, seen.row.outcome) == (1, Outcome.FAILED)


def test_what_is_allowed_by_name_is_tried() -> None:
    with pytest.raises(OSError, match=r".+") as caught:
        asyncio.run(_open_on_loopback())

    assert not isinstance(caught.value, ForbiddenAddressError)


async def _open_on_loopback() -> None:
    # On that interface nobody has this address, and no packet leaves the machine.
    try:
        async with asyncio.timeout(0.3):
            await open_socket("fe80::1%lo", 9, allow_link_local=True)
    except TimeoutError as exc:
        raise OSError("nobody answered") from exc


def test_what_one_provider_is_allowed_another_is_not() -> None:
    upstream = Upstream(UpstreamSettings())
    plain = Provider("plain", "Plain", "openai", HIDDEN, timeouts=Timeouts(connect_s=0.3))
    upstream.route(replace(plain, slug="meant", allow_link_local=True), "/x")
    route = upstream.route(plain, "/x")

    with pytest.raises(UpstreamConnectError, match="link-local"):
        asyncio.run(_send(upstream, route))


async def _send(upstream: Upstream, route: Route) -> None:
    await upstream.send(route, b"{}")


def test_a_literal_address_is_refused_before_anything_starts() -> None:
    provider = Provider("meta", "Meta", "openai", "http://[fd00:ec2::254]/v1")

    with pytest.raises(ValueError, match="allow_link_local"):
        Upstream(UpstreamSettings()).route(provider, "/x")


def test_the_configuration_names_the_address_and_the_way_out(tmp_path: Path) -> None:
    text = (
        '[providers.meta]\nbase_url = "http://169.254.169.254/v1"\n'
        '[[models."a/b".endpoints]]\nprovider = "meta"\nupstream_model = "m"\n'
    )
    (tmp_path / "regulars.toml").write_text(text)
    prices = Prices(of=lambda _: None, read=_no_price)

    with pytest.raises(ConfigError) as caught:
        load(Sources(env={}, folder=tmp_path), prices)
    (tmp_path / "regulars.toml").write_text(text.replace("/v1", '/v1"\nallow_link_local = true #'))
    settings = load(Sources(env={}, folder=tmp_path), prices)

    (problem,) = caught.value.problems
    assert problem.path == "providers.meta.base_url"
    assert "169.254.169.254" in str(problem.value)
    assert "allow_link_local = true" in problem.fix
    assert settings.catalog.endpoints[0].provider.allow_link_local


def _no_price(_table: object) -> Price:
    raise ValueError("no prices here")
