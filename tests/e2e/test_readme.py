"""The README's five minutes, as a new user lives them: its own commands, its own program."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from fakes.fresh_copy import (
    STOP_S,
    FreshCopy,
    MakeRun,
    descendants,
    fresh_copy,
    is_alive,
    make_run,
)

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PROGRAM_S = 60.0
EXAMPLE_ADDRESS = "http://127.0.0.1:8787/"
EXAMPLE_KEY = "sk-reg-…"
EXAMPLE_USER = "user_12345"
MUST_RUN = os.environ.get("CI") == "true"  # noqa: TID251 - tests may read the environment

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("make", "git"))) and not MUST_RUN,
        reason="no make or no git: apt-get install make git",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> FreshCopy:
    return fresh_copy(tmp_path_factory.mktemp("readme"))


@pytest.fixture(scope="module")
def run(copy: FreshCopy) -> Generator[MakeRun]:
    with make_run(copy) as running:
        yield running


def printed(run: MakeRun, pattern: str) -> str:
    found = re.search(pattern, run.banner)
    assert found, run.banner
    return found[1]


def address(run: MakeRun) -> str:
    return printed(run, r"address +(http://\S+)/api/v1\n")


def readmes_program(copy: FreshCopy) -> str:
    readme = (copy.folder / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    return block


def run_program(run: MakeRun, copy: FreshCopy, *, user: str = EXAMPLE_USER) -> tuple[str, int, str]:
    """Run the README's program as this user; returns (provider, cached tokens, generation id)."""
    text = readmes_program(copy)
    for example, real in (
        (EXAMPLE_ADDRESS, f"{address(run)}/"),
        (EXAMPLE_KEY, printed(run, r"first key +(sk-reg-\S+)")),
        (EXAMPLE_USER, user),
    ):
        assert text.count(example) == 1, f"the README's program does not say {example!r} once"
        text = text.replace(example, real)
    done = subprocess.run(
        [sys.executable, "-c", f"{text}\nprint(answer['id'])"],
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures, generation_id = done.stdout.splitlines()
    provider, cached, cost = figures.split()
    assert float(cost) > 0
    return provider, int(cached), generation_id


def look_up(run: MakeRun, path: str) -> Any:
    key = printed(run, r"first-management key +(sk-reg-\S+)")
    got = requests.get(
        f"{address(run)}/api/v1{path}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=PROGRAM_S,
    )
    assert got.status_code == 200, got.text
    return got.json()["data"]


def stop(run: MakeRun) -> int:
    """End the gateway if it still runs; returns what `make run` ended with."""
    if run.process.poll() is None:
        os.kill(run.gateway, signal.SIGTERM)
    return run.process.wait(STOP_S)


def test_the_program_finds_a_warm_cache_the_second_time(copy: FreshCopy, run: MakeRun) -> None:
    first_provider, first_cached, _ = run_program(run, copy)
    second_provider, second_cached, generation_id = run_program(run, copy)

    assert first_cached == 0
    assert second_cached > 0
    assert second_provider == first_provider
    assert look_up(run, f"/generation?id={generation_id}")["external_user"] == EXAMPLE_USER


def test_other_users_go_to_other_providers(copy: FreshCopy, run: MakeRun) -> None:
    providers = {run_program(run, copy, user=f"user_{number}")[0] for number in range(6)}

    assert len(providers) >= 2
    assert providers <= {"Aurora", "Boreal", "Cascade"}


@pytest.mark.skipif(
    not shutil.which(CHROMIUM) and not MUST_RUN, reason="no Chromium: apt-get install chromium"
)
def test_the_login_link_opens_the_users_activity(copy: FreshCopy, run: MakeRun) -> None:
    run_program(run, copy, user="user_on_the_page")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PROGRAM_S * 1000)
        page.goto(printed(run, r"activity +(http\S+)"))
        page.wait_for_url("**/activity")

        expect(page.get_by_text("user_on_the_page").first).to_be_visible()
        browser.close()


def test_the_demos_users_play_from_the_copy(copy: FreshCopy, run: MakeRun) -> None:
    done = subprocess.run(
        [".venv/bin/regulars", "demo", "--users", "4"],
        cwd=copy.folder,
        env=copy.env,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert f"{address(run)}/activity" in done.stdout
    assert len({each["external_user"] for each in look_up(run, "/generations?limit=100")}) >= 4


def test_a_stop_ends_it_well_and_leaves_nothing(copy: FreshCopy, run: MakeRun) -> None:
    family = descendants(run.process.pid)

    code = stop(run)

    assert code == 0
    assert len(family) >= 4  # the gateway and its three servers
    assert [pid for pid in family if is_alive(pid)] == []
    assert not (Path(copy.env["HOME"]) / ".regulars").exists()


def test_a_second_start_installs_nothing_and_knows_its_keys(copy: FreshCopy, run: MakeRun) -> None:
    stop(run)
    key = printed(run, r"first key +(sk-reg-\S+)")
    with make_run(copy) as again:
        got = requests.get(
            f"{address(again)}/api/v1/key",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PROGRAM_S,
        )

    assert "Installing" not in again.banner
    assert "sk-reg-" not in again.banner
    assert got.status_code == 200
    assert got.json()["data"]["is_management_key"] is False
