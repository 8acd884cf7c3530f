"""The README's answer to "how much did team-a spend?", word for word, on a ledger of today."""

import json
import re
import shlex
import time
from decimal import Decimal
from pathlib import Path

from typer.testing import CliRunner

from conformance.stores.ledgers import generation
from fakes.provider import ScriptedProvider
from fakes.running_gateway import running_gateway
from regulars.cli.main import app
from regulars.model.generation import Generation
from regulars.stores.sqlite import open_store

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_readmes_command_and_address_tell_what_team_a_spent(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    store.append(rows_of_yesterday())
    store.close()
    (tmp_path / "regulars.toml").write_text('[store]\nurl = "sqlite:///regulars.db"\n')
    command = found(r"^regulars (activity --user team-a [^#\n]*)#")
    address = found(r"`GET (/api/v1/activity\?user=team-a)`")

    shown = CliRunner().invoke(
        app, [*shlex.split(command), "--json", "--config", f"{tmp_path}/regulars.toml"]
    )
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        (by_url,) = json.loads(gateway.get(address).body, parse_float=Decimal)["data"]

    (by_command,) = json.loads(shown.output, parse_float=Decimal)["data"]
    assert (by_command["user"], by_command["requests"]) == ("team-a", 20)
    assert by_command["cost"] == by_url["usage"] == Decimal(20 * 1500) / 10**9


def rows_of_yesterday() -> list[Generation]:
    day_us = 86_400_000_000
    noon_us = (time.time_ns() // 1000 // day_us - 1) * day_us + day_us // 2
    return [
        generation(n, end_user="team-a" if n % 3 else "team-b", created_at_us=noon_us + n)
        for n in range(30)
    ]


def found(pattern: str) -> str:
    match = re.search(pattern, README, re.MULTILINE)
    assert match, f"the README does not say {pattern!r}"
    return match[1]
