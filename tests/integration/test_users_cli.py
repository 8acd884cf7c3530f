"""`regulars users`: export, erase and the receipt, as a person uses them."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from fakes.sample_ledger import sample_rows
from regulars.cli.main import app
from regulars.stores.base import COMMAND_LINE, Filter
from regulars.stores.contents import Content
from regulars.stores.sqlite import open_store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGULARS_STORE_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.chdir(tmp_path)
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    rows = sample_rows(1_700_000_000, days=3, count=30)
    store.append([replace(row, end_user="ada") for row in rows])
    store.keep_contents(
        [Content(rows[0].id, 1, "default", "ada", "[]", False, "Hello!", None, False)]
    )
    store.close()
    return tmp_path


def test_a_person_is_exported_then_erased_with_a_receipt(folder: Path) -> None:
    run = CliRunner().invoke
    exported = run(app, ["users", "export", "ada", "ada.zip"])
    again = run(app, ["users", "export", "ada", "ada.zip"])
    erased = run(app, ["users", "erase", "ada", "--yes"])
    (folder / "receipt.json").write_text(erased.stdout)
    verified = run(app, ["users", "verify", "receipt.json"])
    (folder / "receipt.json").write_text(erased.stdout.replace("erased-1", "erased-2"))
    forged = run(app, ["users", "verify", "receipt.json"])

    with ZipFile(folder / "ada.zip") as archive:
        lines = archive.read("generations.jsonl").splitlines()
        sums = json.loads(archive.read("sums.json"))
    assert exported.exit_code == 0, exported.output
    assert len(lines) == sums["requests"] == 30
    assert {json.loads(line)["external_user"] for line in lines} == {"ada"}
    assert [json.loads(line).get("content") for line in lines].count(None) == 29
    assert "Hello!" in str(lines)
    assert again.exit_code == 1
    assert json.loads(erased.stdout)["generations"] == 30
    assert json.loads(erased.stdout)["contents"] == 1
    assert (verified.exit_code, forged.exit_code) == (0, 1)
    store = open_store(f"sqlite:///{folder}/ledger.db")
    assert store.totals(Filter("default", user="ada")).requests == 0
    assert store.totals(Filter("default", user="erased-1")).requests == 30
    store.close()


def test_what_is_done_on_the_command_line_is_on_record_without_the_id(folder: Path) -> None:
    run = CliRunner().invoke
    statuses = [
        run(app, ["users", *words]).exit_code
        for words in (
            ("alias", "countess", "ada"),
            ("alias", "countess", "ada"),
            ("name", "ada", "Ada L."),
            ("export", "ada", "ada.zip"),
            ("erase", "ada", "--yes"),
        )
    ]

    store = open_store(f"sqlite:///{folder}/ledger.db")
    changes = store.key_changes(10)
    store.close()
    said = ["user_erased", "user_exported", "user_named", "users_merged"]
    assert statuses == [0, 1, 0, 0, 0]
    assert [change.action for change in changes] == said
    assert {(change.actor, change.key_hash) for change in changes} == {(COMMAND_LINE, "")}
    assert len({str(change.details) for change in changes}) == 1
    assert not any(name in str(changes) for name in ("'ada", "countess", "Ada L."))


def test_a_signed_key_shows_its_signing_secret_once(folder: Path) -> None:
    made = CliRunner().invoke(
        app, ["keys", "create", "--name", "app", "--user-policy", "signed", "--json"]
    )
    listed = CliRunner().invoke(app, ["keys", "list", "--json"])
    wrong = CliRunner().invoke(app, ["keys", "create", "--name", "x", "--user-policy", "fixed"])

    assert folder.exists()
    secret = json.loads(made.stdout)["signing_secret"]
    assert len(secret) >= 32
    assert secret not in listed.stdout
    assert json.loads(listed.stdout)["data"][0]["user_policy"] == "signed"
    assert wrong.exit_code == 2
    assert "--user" in wrong.output


def test_identifiers_are_reported(folder: Path) -> None:
    run = CliRunner().invoke(app, ["identifiers", "--days", "3650", "--json"])
    table = CliRunner().invoke(app, ["identifiers", "--days", "3650"])

    assert folder.exists()
    assert json.loads(run.stdout)["forms"] == [["word", 1]]
    assert table.exit_code == 0
