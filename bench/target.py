"""What is measured: a proxy on a loopback port."""

from dataclasses import dataclass
from pathlib import Path

CHAT_PATH = "/api/v1/chat/completions"
MODEL = "bench/echo"


@dataclass(frozen=True, slots=True)
class Target:
    """One proxy under load. nginx needs no key and keeps no ledger."""

    name: str
    port: int
    pid: int
    key: str = ""
    store: Path | None = None
