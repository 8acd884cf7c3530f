"""Several worker processes place users as one would."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.served_process import WAIT_S, ServedProcess, config_text, served_process
from regulars.demo.servers import demo_servers
from regulars.demo.tiny_model import MODEL_ID
from regulars.model.generation import Generation

USERS = 8
TURNS = 6
SHARED_AFTER_S = 1.5
PAUSE = Event()
"""Nobody sets it: a wait on it is a pause."""


def opening(user: int) -> list[dict[str, str]]:
    """What a user's every request begins with; no two users share its first words."""
    rules = " ".join(f"Rule {number} of user {user}: be brief." for number in range(60))
    return [{"role": "system", "content": f"You are assistant number {user}. {rules}"}]


def converse(gateway: ServedProcess) -> None:
    """Let all users have all turns, each request over a connection of its own."""
    histories = [opening(user) for user in range(USERS)]
    for turn in range(TURNS):
        for user, history in enumerate(histories):
            history.append({"role": "user", "content": f"Question {turn}?"})
            got = gateway.chat(messages=history, user=f"user_{user}", max_tokens=8)
            assert got.status == 200, got.body
            history.append(got.json["choices"][0]["message"])


def banner(gateway: ServedProcess, keys: tuple[str, str]) -> str:
    """Write the banner as it was when the keys were made."""
    return f"{gateway.banner}\n{keys[0]} {keys[1]}"


def cached_share(rows: list[Generation]) -> float:
    used = [row.usage for row in rows if row.usage is not None]
    return sum(usage.cached_tokens or 0 for usage in used) / sum(u.prompt_tokens for u in used)


def share_of(folder: Path, urls: Mapping[str, str], workers: int) -> float:
    folder.mkdir()
    config = config_text(folder, urls, upstream_model=MODEL_ID)
    with served_process(folder, config, "--workers", str(workers)) as gateway:
        converse(gateway)
        return cached_share(gateway.rows())


def test_four_workers_reach_the_cached_share_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares: dict[int, float] = {}
    for workers in (1, 4):
        with demo_servers(tmp_path) as catalog:
            urls = {each.provider.slug: each.provider.base_url for each in catalog.endpoints[:2]}
            shares[workers] = share_of(tmp_path / str(workers), urls, workers)

    with capsys.disabled():
        print(f"\ncached share: 1 worker {shares[1]:.3f}, 4 workers {shares[4]:.3f}")  # noqa: T201 - the figure is the point
    assert shares[4] >= shares[1] - 0.02


def test_workers_that_are_started_again_find_their_users_where_they_were(tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(12)]
    with ScriptedProvider() as one, ScriptedProvider() as two, ScriptedProvider() as three:
        config = config_text(tmp_path, {"p0": one.url, "p1": two.url, "p2": three.url})
        homes: list[dict[str, str]] = []
        with served_process(tmp_path, config, "--workers", "2") as gateway:
            keys = gateway.keys
            homes.append({user: gateway.chat(user=user).json["provider"] for user in users})
            gateway.process.terminate()
            gateway.process.wait(WAIT_S)
        with served_process(tmp_path, config, "--workers", "2") as gateway:
            later = ServedProcess(gateway.process, banner(gateway, keys), "", gateway.log)
            homes.append({user: later.chat(user=user).json["provider"] for user in users})

    assert homes[0] == homes[1]


def test_a_user_is_found_again_by_every_worker(tmp_path: Path) -> None:
    with ScriptedProvider() as one, ScriptedProvider() as two, ScriptedProvider() as three:
        config = config_text(tmp_path, {"p0": one.url, "p1": two.url, "p2": three.url})
        with served_process(tmp_path, config, "--workers", "2") as gateway:
            users = [f"u{number}" for number in range(12)]
            first = {user: gateway.chat(user=user).json["provider"] for user in users}
            PAUSE.wait(SHARED_AFTER_S)
            later = [
                {
                    user: gateway.chat(user=user, session_id=f"{user}-{n}").json["provider"]
                    for user in users
                }
                for n in range(4)
            ]
            rows = gateway.rows()

    assert later == [first] * 4
    assert {row.attempts[0].reason for row in rows[: 4 * len(users)]} == {"warm-user"}


def test_a_rest_after_a_429_is_kept_by_every_worker(tmp_path: Path) -> None:
    limited = Script(status=429, headers={"retry-after": "60"}, body=b"{}")
    with ScriptedProvider(default=limited) as full, ScriptedProvider() as free:
        config = config_text(tmp_path, {"p0": full.url, "p1": free.url})
        with served_process(tmp_path, config, "--workers", "4") as gateway:
            statuses = [gateway.chat(user=f"first {number}").status for number in range(8)]
            PAUSE.wait(SHARED_AFTER_S)
            tried = len(full.requests)
            statuses += [gateway.chat(user=f"later {number}").status for number in range(40)]
            tried_later = len(full.requests) - tried

    assert statuses == [200] * 48
    assert tried > 0
    assert tried_later == 0
