"""One of three real llama.cpp servers is killed under load and comes back on its port."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.llama_server import LlamaServer
from fakes.served_process import ServedProcess, config_text, served_process
from regulars.demo.tiny_model import MODEL_ID
from regulars.routing.health import OPEN_S

USERS = 6
TURNS = 4
NEWCOMERS_MAX = 200
PAUSE = threading.Event()
"""Nobody sets it: a wait on it is a pause."""


@dataclass(slots=True)
class Conversation:
    """One user's, with where each answer came from and what was cached."""

    user: str
    messages: list[dict[str, Any]] = field(init=False)
    providers: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        rules = " ".join(f"Rule {number} of {self.user}: be brief." for number in range(40))
        self.messages = [{"role": "system", "content": f"You serve {self.user}. {rules}"}]

    def turn(self, gateway: ServedProcess) -> tuple[int, int]:
        """Have one turn; returns (cached, prompt tokens)."""
        self.messages.append({"role": "user", "content": f"Question {len(self.messages)}?"})
        got = gateway.chat(messages=self.messages, user=self.user, max_tokens=16)
        assert got.status == 200, got.body
        answer = got.json
        self.messages.append(answer["choices"][0]["message"])
        self.providers.append(answer["provider"])
        usage = answer["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]


def load(gateway: ServedProcess, conversations: list[Conversation]) -> float:
    """Let all have their turns at once; returns the cached share of the last turn."""

    def talk(conversation: Conversation) -> tuple[int, int]:
        return [conversation.turn(gateway) for _ in range(TURNS)][-1]

    with ThreadPoolExecutor(len(conversations)) as pool:
        used = list(pool.map(talk, conversations))
    return sum(cached for cached, _ in used) / sum(prompt for _, prompt in used)


def homes(conversations: list[Conversation]) -> list[str]:
    return [conversation.providers[-1] for conversation in conversations]


def test_a_killed_server_costs_no_request_and_moves_only_its_own_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(LlamaServer(tmp_path)) for _ in range(3)]
        urls = {f"p{number}": server.url for number, server in enumerate(servers)}
        config = config_text(tmp_path, urls, upstream_model=MODEL_ID)
        gateway = stack.enter_context(served_process(tmp_path, config))
        conversations = [Conversation(f"user {number}") for number in range(USERS)]

        before = load(gateway, conversations)
        first_homes = homes(conversations)
        lost = first_homes[0]
        victim = servers[int(lost[1:])]
        killer = threading.Timer(0.2, victim.kill)
        killer.start()
        load(gateway, conversations)
        killer.join()
        without = load(gateway, conversations)
        refuges = homes(conversations)
        victim.start()
        after = load(gateway, conversations)
        later_homes = homes(conversations)
        PAUSE.wait(OPEN_S)
        newcomers = 0
        while newcomers < NEWCOMERS_MAX:
            newcomer = Conversation(f"newcomer {newcomers}")
            newcomer.turn(gateway)
            newcomers += 1
            if newcomer.providers == [lost]:
                break
        rows = gateway.rows()

    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\ncached share: {before:.3f} with three, {without:.3f} with two, {after:.3f} after; "
            f"back in use with newcomer {newcomers}"
        )
    stayed = [home for home in first_homes if home != lost]
    assert stayed  # the users were spread
    assert lost not in refuges
    assert [new for old, new in zip(first_homes, refuges, strict=True) if old != lost] == stayed
    assert later_homes == refuges  # nothing moves back
    assert without >= before - 0.05
    assert after >= before - 0.05
    assert newcomers < NEWCOMERS_MAX
    assert [row.status for row in rows if row.status != 200] == []
    assert any(len(row.attempts) > 1 for row in rows)  # the kill was noticed
