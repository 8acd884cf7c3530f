"""Starts and stops the demo's providers: three llama.cpp servers on loopback."""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from regulars.demo.tiny_model import CONTEXT_LENGTH, MODEL_ID, DemoError, tiny_model
from regulars.model.catalog import Catalog, Endpoint, Model, Provider
from regulars.model.money import TOKENS_PER_MILLION, Price

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 3.0
ADDRESS_BYTES_MAX: Final = 200
CACHE_TTL_S: Final = 300.0

_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DemoProvider:
    """One of the three: prices in USD per million tokens, in the range of real ones."""

    slug: str
    name: str
    prompt: str
    completion: str
    cache_read: str

    @property
    def price(self) -> Price:
        """The same per token."""
        return Price(
            prompt=Decimal(self.prompt) / TOKENS_PER_MILLION,
            completion=Decimal(self.completion) / TOKENS_PER_MILLION,
            cache_read=Decimal(self.cache_read) / TOKENS_PER_MILLION,
        )


DEMO_PROVIDERS: Final = (
    DemoProvider("aurora", "Aurora", prompt="0.60", completion="2.40", cache_read="0.06"),
    DemoProvider("boreal", "Boreal", prompt="0.55", completion="2.20", cache_read="0.055"),
    DemoProvider("cascade", "Cascade", prompt="0.65", completion="2.50", cache_read="0.065"),
)


@contextmanager
def demo_servers(home: Path) -> Generator[Catalog]:
    """Run the servers for the time of a `with`; gives the catalog that they serve.

    Raises:
        DemoError: something needed is not installed, or a server did not start in time.
    """
    model = tiny_model(home)
    children: list[subprocess.Popen[bytes]] = []
    try:
        # All at once: they load side by side.
        children.extend(_start(model) for _ in DEMO_PROVIDERS)
        deadline = time.monotonic() + START_TIMEOUT_S
        yield demo_catalog([_address(child, deadline) for child in children])
    finally:
        _stop(children)


def demo_catalog(addresses: list[str]) -> Catalog:
    """One model at three providers; endpoint ids stay the same whatever the ports."""
    endpoints = tuple(
        Endpoint(
            id=f"{row.slug}/{MODEL_ID}",
            model=MODEL_ID,
            provider=Provider(
                slug=row.slug,
                name=row.name,
                dialect="openai",
                base_url=f"{address}/v1",
                cache_ttl_s=CACHE_TTL_S,
            ),
            upstream_model=MODEL_ID,
            price=row.price,
            context_length=CONTEXT_LENGTH,
        )
        for row, address in zip(DEMO_PROVIDERS, addresses, strict=True)
    )
    model = Model(MODEL_ID, "Tiny Chat (demo)", 0, CONTEXT_LENGTH, endpoints)
    return Catalog(models={MODEL_ID: model})


def _start(model: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "regulars.demo.server"]
    command += ["--model", str(model), "--port", "0", "--alias", MODEL_ID]
    return subprocess.Popen(  # noqa: S603 - our own program with our own arguments
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # llama.cpp talks a lot
    )


def _address(child: subprocess.Popen[bytes], deadline: float) -> str:
    """Wait for the line with the server's address, then until it says that it is well."""
    assert child.stdout is not None
    # A child that hangs before the line is killed at the deadline, which ends the read.
    killer = threading.Timer(max(0.0, deadline - time.monotonic()), child.kill)
    killer.start()
    try:
        line = child.stdout.readline(ADDRESS_BYTES_MAX).decode().strip()
    finally:
        killer.cancel()
        killer.join()  # no thread may be left when workers are forked
    while line and time.monotonic() < deadline:
        if _is_well(line.removeprefix("http://")):
            return line
        time.sleep(_POLL_S)
    raise DemoError(
        f"a demo server (llama.cpp) did not start within {START_TIMEOUT_S:.0f} s,"
        f" exit code {child.poll()}: see why with `python -m regulars.demo.server --help`,"
        " or name a provider in regulars.toml"
    )


def _is_well(host: str) -> bool:
    connection = http.client.HTTPConnection(host, timeout=1.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False  # still loading
    finally:
        connection.close()


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()
