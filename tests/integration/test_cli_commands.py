"""The command line as a person calls it: what it prints, and its exit codes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from regulars import __version__

TIMEOUT_S = 60.0


def regulars(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty folder, with a home of its own and no keys around."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}  # noqa: TID251 - for the child
    return subprocess.run(
        [sys.executable, "-m", "regulars", *arguments],
        cwd=folder,
        env={**kept, "REGULARS_HOME": str(folder / "home"), "REGULARS_DISCOVER": "demo", **env},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    done = regulars(tmp_path, "--version")

    assert (done.returncode, done.stdout) == (0, f"regulars {__version__}\n")


def test_help_names_the_commands(tmp_path: Path) -> None:
    done = regulars(tmp_path, "--help")

    assert done.returncode == 0
    assert all(command in done.stdout for command in ("serve", "demo", "check", "keys"))


@pytest.mark.parametrize("command", [["serve"], ["check"], ["keys", "list"], ["demo"]])
def test_a_bad_configuration_is_exit_code_2_with_all_problems(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "regulars.toml").write_text("[server]\nport = 70000\nprot = 1\n")

    done = regulars(tmp_path, *command)

    assert done.returncode == 2
    assert "2 problems" in done.stderr
    assert "server.port = 70000" in done.stderr
    assert "did you mean `port`?" in done.stderr
    assert not (tmp_path / "home").exists()


def test_an_unknown_option_is_exit_code_2(tmp_path: Path) -> None:
    assert regulars(tmp_path, "serve", "--prot", "1").returncode == 2


def test_a_port_in_use_is_exit_code_1_and_nothing_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = regulars(tmp_path, "serve", "--port", port)

    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "home").exists()


def test_an_address_of_another_machine_is_exit_code_1(tmp_path: Path) -> None:
    done = regulars(tmp_path, "serve", "--host", "192.0.2.1")

    assert done.returncode == 1
    assert "192.0.2.1 is not an address of this machine" in done.stderr


def test_check_shows_what_would_be_served(tmp_path: Path) -> None:
    (tmp_path / "regulars.toml").write_text(
        '[providers.alpha]\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[[models."a/b".endpoints]]\nprovider = "alpha"\nupstream_model = "b"\n'
        'price = { prompt = "0.60", completion = "2" }\n'
    )

    done = regulars(tmp_path, "check")

    assert done.returncode == 0
    assert "alpha/a/b" in done.stdout
    assert "0.6 / 2" in done.stdout
    assert f"sqlite:///{tmp_path}/home/regulars.db" in done.stdout


def test_check_without_providers_names_the_demo(tmp_path: Path) -> None:
    done = regulars(tmp_path, "check")

    assert done.returncode == 0
    assert "demo" in done.stdout


def test_check_names_what_scheduled_reports_ask_for_that_nobody_knows(tmp_path: Path) -> None:
    wrong = 'cron = "0 6 * * *"\nfolder = "out"\n'
    (tmp_path / "regulars.toml").write_text(
        f'[[reports]]\nname = "one"\ngroup_by = ["member"]\n{wrong}'
        f'[[reports]]\nname = "two"\nmetrics = ["price"]\n{wrong}'
        f'[[reports]]\nname = "three"\nmetrics = ["cost"]\n{wrong}'
    )

    done = regulars(tmp_path, "check")

    assert done.returncode == 2
    assert "[[reports]] 'one': dimensions: 'member' is not known; known: user" in done.stderr
    assert "[[reports]] 'two': metrics: 'price' is not known; known: requests" in done.stderr
    assert "three" not in done.stderr


def test_check_prints_the_schema(tmp_path: Path) -> None:
    done = regulars(tmp_path, "check", "--schema")

    assert json.loads(done.stdout)["title"] == "regulars.toml"


def test_a_key_is_made_listed_and_disabled(tmp_path: Path) -> None:
    made = json.loads(regulars(tmp_path, "keys", "create", "--name", "app", "--json").stdout)
    listed = json.loads(regulars(tmp_path, "keys", "list", "--json").stdout)["data"]
    table = regulars(tmp_path, "keys", "list").stdout
    disabled = regulars(tmp_path, "keys", "disable", made["hash"][:12])
    after = json.loads(regulars(tmp_path, "keys", "list", "--json").stdout)["data"]

    assert made["key"].startswith("sk-reg-")
    assert [(key["name"], key["role"], key["disabled"]) for key in listed] == [
        ("app", "inference", False)
    ]
    assert made["label"] in table
    assert made["key"] not in table
    assert disabled.returncode == 0
    assert [key["disabled"] for key in after] == [True]


def test_a_management_key_can_be_made(tmp_path: Path) -> None:
    done = regulars(tmp_path, "keys", "create", "--name", "boss", "--management")

    assert done.stdout.startswith("sk-reg-")
    assert "management key 'boss'" in done.stderr


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_a_key_needs_a_readable_name(tmp_path: Path, name: str) -> None:
    assert regulars(tmp_path, "keys", "create", "--name", name).returncode == 2


def test_disabling_an_unknown_key_is_exit_code_1(tmp_path: Path) -> None:
    done = regulars(tmp_path, "keys", "disable", "0123456789")

    assert done.returncode == 1
    assert "0 keys begin with '0123456789'" in done.stderr


def test_a_store_that_cannot_be_opened_is_exit_code_1(tmp_path: Path) -> None:
    done = regulars(tmp_path, "keys", "list", REGULARS_STORE_URL=f"sqlite:///{tmp_path}")

    assert done.returncode == 1
    assert str(tmp_path) in done.stderr


def test_the_demo_without_a_gateway_is_exit_code_1_and_leaves_no_key_alive(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    done = regulars(tmp_path, "demo", "--url", f"http://127.0.0.1:{port}", "--users", "1")

    keys = json.loads(regulars(tmp_path, "keys", "list", "--json").stdout)["data"]
    assert done.returncode == 1
    assert f"no answer from http://127.0.0.1:{port}" in done.stderr
    assert [key["disabled"] for key in keys] == [True]
