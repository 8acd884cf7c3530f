"""Start the gateway as an operator would, and count its ledger rows from outside."""

import http.client
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.children import POLL_S, Children, free_port, has_ended
from bench.errors import BenchError
from bench.load import chat_body
from bench.target import CHAT_PATH, Target

KEYS_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 10.0
SETTLE_POLL_S = 0.1

# Only the bounds that 5,000 open streams would meet differ from the defaults.
CONFIG = """\
[server]
in_flight_max = 8000
{per_key}[upstream]
connections_max = 8000
[store]
url = "sqlite:///{store}"
[providers.bench]
dialect = "openai"
base_url = "http://127.0.0.1:{origin_port}/v1"
key_env = "BENCH_UPSTREAM_KEY"
cache_ttl_s = 300
[models."bench/echo"]
[[models."bench/echo".endpoints]]
provider = "bench"
upstream_model = "echo"
price = {{ prompt = "0.60", completion = "0.80", cache_read = "0.06" }}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A configured gateway with one key, not running."""

    name: str
    config: Path
    store: Path
    environment: Mapping[str, str]
    key: str


@dataclass(frozen=True, slots=True)
class Started:
    """A running gateway and how long it took from the command to its first answer."""

    child: subprocess.Popen[bytes]
    target: Target
    first_answer_s: float


def install(
    children: Children,
    *,
    name: str,
    source: Path,
    origin_port: int,
    core: int,
    switches: Mapping[str, str] | None = None,
) -> Installation:
    """Write a config with an empty store and create a key; `source` is the tree to run."""
    store = children.folder / f"{name}.db"
    config = children.folder / f"{name}.toml"
    # An older tree, run to compare with, does not know this bound and refuses its name.
    knows = "in_flight_per_key_max" in (source / "regulars/config/schema.py").read_text()
    per_key = "in_flight_per_key_max = 8000\n" if knows else ""
    config.write_text(CONFIG.format(store=store, origin_port=origin_port, per_key=per_key))
    environment = {
        "PYTHONPATH": str(source),
        "REGULARS_HOME": str(children.folder),
        "BENCH_UPSTREAM_KEY": "bench",
        **(switches or {}),
    }
    key = _create_key(children, config=config, environment=environment, core=core)
    return Installation(name, config, store, environment, key)


def start_gateway(children: Children, installation: Installation, *, core: int) -> Started:
    """Start it with one worker, wait until it is ready, and ask one question."""
    port = free_port()
    began = time.monotonic()
    options = ("--config", str(installation.config), "--port", str(port), "--workers", "1")
    child = children.start(
        installation.name,
        _command("serve", *options),
        core=core,
        environment=installation.environment,
    )
    children.wait_listening(installation.name, child, port)
    target = Target(
        installation.name,
        port=port,
        pid=child.pid,
        key=installation.key,
        store=installation.store,
    )
    _wait_ready(children, target, child)
    _ask_once(children, target)
    return Started(child, target, time.monotonic() - began)


def ledger_rows(store: Path) -> int:
    """How many generations the ledger holds now."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10.0)) as connection:
        return int(connection.execute("SELECT count(*) FROM generation").fetchone()[0])


def settled_rows(store: Path, *, at_least: int) -> int:
    """Count rows once `at_least` are there and no more come, or when the wait is over."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    rows, seen = ledger_rows(store), -1
    while (rows < at_least or rows != seen) and time.monotonic() < deadline:
        time.sleep(SETTLE_POLL_S)
        rows, seen = ledger_rows(store), rows
    return rows


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "regulars", *words]


def _create_key(
    children: Children, *, config: Path, environment: Mapping[str, str], core: int
) -> str:
    command = _command("keys", "create", "--name", "bench", "--json", "--config", str(config))
    child = children.start("keys", command, core=core, environment=environment, pipes=True)
    try:
        output, _ = child.communicate(timeout=KEYS_TIMEOUT_S)
    finally:
        children.end(child)
    found = re.search(r"sk-reg-[\w-]+", output.decode())
    if child.returncode or not found:
        raise BenchError(f"`regulars keys create` made no key: {children.tail('keys')}")
    return found[0]


def _wait_ready(children: Children, target: Target, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    said = "nothing"
    while time.monotonic() < deadline and not has_ended(child):
        try:
            status, _ = _call(target, "GET", "/readyz")
        except (OSError, http.client.HTTPException) as error:
            said = repr(error)
        else:
            if status == http.HTTPStatus.OK:
                return
            said = str(status)
        time.sleep(POLL_S)
    tail = children.tail(target.name)
    raise BenchError(f"{target.name} was never ready (/readyz said {said}): {tail}")


def _ask_once(children: Children, target: Target) -> None:
    try:
        status, body = _call(target, "POST", CHAT_PATH, chat_body("user-0000", stream=False))
    except (OSError, http.client.HTTPException) as error:
        tail = children.tail(target.name)
        raise BenchError(f"{target.name} broke on its first chat ({error!r}): {tail}") from error
    if status != http.HTTPStatus.OK:
        raise BenchError(f"{target.name} answered {status} to a chat: {body[:300]!r}")
    if "usage" not in json.loads(body):
        raise BenchError(f"{target.name} answered a chat without usage")


def _call(target: Target, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    with closing(
        http.client.HTTPConnection("127.0.0.1", target.port, timeout=CALL_TIMEOUT_S)
    ) as client:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return answer.status, answer.read()
