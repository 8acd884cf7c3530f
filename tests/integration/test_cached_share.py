"""How much of all input comes from warm caches: the figure the product stands for."""

from pathlib import Path

import pytest

from fakes.served_process import ServedProcess, config_text, served_process
from fakes.utc_day import today
from regulars.demo.servers import demo_servers
from regulars.demo.tiny_model import MODEL_ID

USERS = 6
TURNS = 5
SHARE_MIN = 0.78
"""Of 0.8, where only each user's first turn is fresh; random choice comes to 0.59."""


def opening(user: int) -> list[dict[str, str]]:
    """What a user's every request begins with; no two users share its first words."""
    rules = " ".join(f"Rule {number} of user {user}: be brief." for number in range(60))
    return [{"role": "system", "content": f"You are assistant number {user}. {rules}"}]


def converse(gateway: ServedProcess) -> set[tuple[int, str]]:
    """Let all users have all turns, one request at a time; returns who went where."""
    histories = [opening(user) for user in range(USERS)]
    places: set[tuple[int, str]] = set()
    for turn in range(TURNS):
        for user, history in enumerate(histories):
            history.append({"role": "user", "content": f"Question {turn}?"})
            got = gateway.chat(messages=history, user=f"user_{user}", max_tokens=8)
            assert got.status == 200, got.body
            answer = got.json
            history.append(answer["choices"][0]["message"])
            places.add((user, answer["provider"]))
    return places


def test_users_of_real_servers_read_four_fifths_from_warm_caches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo_servers(tmp_path) as catalog:
        urls = {each.provider.slug: each.provider.base_url for each in catalog.endpoints[:2]}
        config = config_text(tmp_path, urls, upstream_model=MODEL_ID)
        with served_process(tmp_path, config) as gateway:
            day = today()
            places = converse(gateway)
            report = gateway.get(f"/api/v1/activity?date={day}").json["data"]

    prompt = sum(item["prompt_tokens"] for item in report)
    cached = sum(item["cached_tokens"] for item in report)
    with capsys.disabled():
        print(f"\ncached share: {cached / prompt:.3f} ({cached} of {prompt} tokens)")  # noqa: T201 - the figure is the point
    assert sum(item["requests"] for item in report) == USERS * TURNS
    assert len(places) == USERS  # everybody stays
    assert {len([1 for _, place in places if place == slug]) for slug in urls} == {USERS // 2}
    assert cached / prompt >= SHARE_MIN
