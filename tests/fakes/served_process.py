"""`regulars serve` in a process of its own, for tests that signal, starve or kill it.

config = config_text(tmp_path, {"p0": provider.url})
with served_process(tmp_path, config, "--workers", "2") as gateway:
    assert gateway.chat(user="u").status == 200
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from fakes.running_gateway import HELLO, MODEL, Answer
from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store

WAIT_S = 30.0
"""No test waits longer for anything the gateway does."""

POLL_S = 0.02


@dataclass(slots=True)
class Log:
    """What the gateway writes to standard error, line by line."""

    lines: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, line: str) -> None:
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def wait_for(self, word: str) -> None:
        """Wait until a line contains the word."""
        with self.changed:
            found = self.changed.wait_for(lambda: any(word in line for line in self.lines), WAIT_S)
        assert found, f"{word!r} is not in the log: {''.join(self.lines)}"


@dataclass(slots=True)
class ServedProcess:
    """A gateway that runs elsewhere."""

    process: "subprocess.Popen[str]"
    banner: str
    store_url: str
    log: Log

    @property
    def host(self) -> str:
        """Address and port."""
        found = re.search(r"http://(127\.0\.0\.1:\d+)/api/v1", self.banner)
        assert found, self.banner
        return found[1]

    @property
    def keys(self) -> tuple[str, str]:
        """The first inference key and the first management key."""
        inference, management = re.findall(r"sk-reg-[\w-]+", self.banner)
        return inference, management

    @property
    def children(self) -> list[int]:
        """Ids of the processes it started: its workers."""
        pid = self.process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def connect(self) -> HTTPConnection:
        """Open a connection; the caller closes it."""
        return HTTPConnection(self.host, timeout=WAIT_S)

    def ask(self, connection: HTTPConnection, **fields: Any) -> Answer:
        """Chat over a connection of the caller's."""
        body, headers = self.request_of(**fields)
        connection.request("POST", "/api/v1/chat/completions", body, headers)
        return _read(connection)

    def request_of(self, **fields: Any) -> tuple[str, dict[str, str]]:
        """Body and head of a chat request."""
        body = json.dumps({"model": MODEL, "messages": HELLO, **fields})
        return body, {"Authorization": f"Bearer {self.keys[0]}"}

    def chat(self, **fields: Any) -> Answer:
        """Chat over a connection of its own."""
        connection = self.connect()
        try:
            return self.ask(connection, **fields)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """Look something up with the management key."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.keys[1]}"})
            return _read(connection)
        finally:
            connection.close()

    def rows(self) -> list[Generation]:
        """All rows of the ledger, newest first."""
        store = open_store(self.store_url)
        try:
            return store.generations(Filter(account="default"), limit=100_000, before=None)[0]
        finally:
            store.close()


def config_text(
    folder: Path, base_urls: Mapping[str, str], *, upstream_model: str = "tiny", more: str = ""
) -> str:
    """Write a configuration that serves one model at these providers."""
    providers = "".join(
        f'[providers.{slug}]\nbase_url = "{url}"\ncache_ttl_s = 300\n'
        f'[[models."{MODEL}".endpoints]]\nprovider = "{slug}"\nupstream_model = "{upstream_model}"\n'
        'price = { prompt = "0.60", completion = "0.80", cache_read = "0.06" }\n'
        for slug, url in base_urls.items()
    )
    return f'[store]\nurl = "sqlite:///{folder}/regulars.db"\n{providers}{more}'


@contextmanager
def served_process(folder: Path, config: str, *arguments: str) -> Generator[ServedProcess]:
    """Start it on a free port; whatever is left of it is killed at the end."""
    file = folder / "regulars.toml"
    file.write_text(config)
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}  # noqa: TID251 - for the child
    process = subprocess.Popen(
        [sys.executable, "-m", "regulars", "serve", "--port", "0", *arguments],
        cwd=folder,
        env={**kept, "REGULARS_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = Log()
    reader = threading.Thread(target=_read_log, args=(process, log))
    reader.start()
    # reading the banner is bounded by this
    killer = threading.Timer(WAIT_S, process.kill)
    killer.start()
    try:
        banner = _banner(process, log)
        killer.cancel()
        yield ServedProcess(process, banner, f"sqlite:///{folder}/regulars.db", log)
    finally:
        killer.cancel()
        process.kill()
        reader.join(WAIT_S)
        process.communicate()


def _banner(process: "subprocess.Popen[str]", log: Log) -> str:
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if line.strip().startswith("activity"):
            return text
    raise AssertionError(f"no banner, only: {text}{''.join(log.lines)}")


def _read_log(process: "subprocess.Popen[str]", log: Log) -> None:
    assert process.stderr
    for line in process.stderr:
        log.add(line)


def _read(connection: HTTPConnection) -> Answer:
    got = connection.getresponse()
    names = {name.lower(): value for name, value in got.getheaders()}
    return Answer(got.status, names, got.read())
