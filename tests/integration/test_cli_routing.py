"""`regulars routing report` on a ledger that a gateway with a holdout wrote."""

import json
from pathlib import Path

from typer.testing import CliRunner

from fakes.routed_gateway import Offer, routed_gateway
from fakes.running_gateway import HELLO
from regulars.cli.main import app
from regulars.config.settings import RoutingSettings

USERS = 24
TURNS = 4


def report(folder: Path, *options: str) -> str:
    (folder / "regulars.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/regulars.db"\n')
    done = CliRunner().invoke(
        app, ["routing", "report", "--config", str(folder / "regulars.toml"), *options]
    )
    assert done.exit_code == 0, done.output
    return done.output


def converse(folder: Path, *, holdout_share: float) -> None:
    """Let users with long prompts of their own have a few turns at four providers."""
    routing = RoutingSettings(holdout_share=holdout_share)
    with routed_gateway(folder, Offer(), Offer(), Offer(), Offer(), routing=routing) as routed:
        for _ in range(TURNS):
            for user in range(USERS):
                system = {"role": "system", "content": f"You serve {user}. " * 200}
                routed.chat(user=f"user {user}", messages=[system, *HELLO])


def test_sticky_users_beat_the_holdout(tmp_path: Path) -> None:
    converse(tmp_path, holdout_share=0.5)

    found = json.loads(report(tmp_path, "--json"))
    again = json.loads(report(tmp_path, "--json", "--since", "1h"))
    text = report(tmp_path)

    gain, saved = found["cached_share_gain"], found["usd_saved_per_1k_prompt_tokens"]
    assert found["complete"] is True
    assert found["sticky"]["users"] + found["holdout"]["users"] == USERS
    assert found["sticky"]["cached_share"] > found["holdout"]["cached_share"]
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    assert 0 < saved["low"] < saved["value"] < saved["high"]
    assert again["cached_share_gain"] == gain
    assert "95 % confidence" in text


def test_without_a_holdout_it_says_so(tmp_path: Path) -> None:
    converse(tmp_path, holdout_share=0.0)

    text = report(tmp_path)
    found = json.loads(report(tmp_path, "--json"))

    assert "Nobody was held out in the last 7d" in text
    assert "holdout_share = 0.05" in text
    assert found["holdout"]["users"] == 0
    assert found["cached_share_gain"] is None


def test_a_time_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(app, ["routing", "report", "--since", "soon"])

    assert done.exit_code == 2
    assert "7d, 12h or 30m" in done.output
