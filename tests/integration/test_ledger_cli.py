"""`regulars ledger`: verify, reconcile, backup, as a person uses them."""

import json
import sqlite3
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from conformance.stores.ledgers import generation
from regulars.cli.main import app
from regulars.model.generation import Attempt, Billed, CostSource, Generation, Outcome
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.base import StoreError
from regulars.stores.sqlite import open_store

HEADER = "id,created_at,model,prompt_tokens,completion_tokens,cost_usd"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and a ledger of 30 rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGULARS_HOME", str(tmp_path))
    (tmp_path / "regulars.toml").write_text('[store]\nurl = "sqlite:///ledger.db"\n')
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([row(n) for n in range(30)])
    store.close()
    return tmp_path


def row(number: int) -> Generation:
    return generation(
        number, upstream_id=f"chatcmpl-{number}", upstream_model="llama-x", end_user=f"u{number}"
    )


def exported(
    number: int, *, identity: bool = True, tokens: int = 100, cost: str = "0.0000015"
) -> str:
    at_s = row(number).created_at_us / 1_000_000
    name = f"chatcmpl-{number}" if identity else ""
    return f"{name},{at_s},llama-x,{tokens},10,{cost}"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ledger", *arguments])
    return result.exit_code, result.output


def write(folder: Path, *lines: str) -> str:
    file = folder / "export.csv"
    file.write_text("\n".join([HEADER, *lines]) + "\n")
    return str(file)


@pytest.mark.usefixtures("folder")
def test_a_whole_ledger_verifies() -> None:
    code, output = run("verify", "--json")

    assert code == 0
    assert json.loads(output) == {"rows": 30, "differences": []}


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE hourly SET cost_nanousd = cost_nanousd + 1", "hourly account=default hour="),
        ("DELETE FROM hourly", "requests is None, rows say 30"),
        ("DELETE FROM generation WHERE end_user_id = 3", "rows that are not there"),
    ],
)
def test_every_difference_is_named(folder: Path, damage: str, named: str) -> None:
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute(damage)
    connection.commit()
    connection.close()

    code, output = run("verify")

    assert code == 1
    assert named in output


def test_what_providers_bill_to_keys_of_our_own_is_compared_too(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    cost = Cost(total=1500, prompt=1000, completion=500, cache_saving=60, byok=1400)
    store.append([replace(row(n), cost=cost) for n in range(30, 33)])
    before = list(store.verify())
    store.close()
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("UPDATE byok SET nanousd = nanousd + 1")
    connection.execute(
        "UPDATE billed SET nanousd = nanousd + 2 WHERE row = (SELECT max(row) FROM billed)"
    )
    connection.execute("DELETE FROM billed WHERE row = (SELECT min(row) FROM billed)")
    connection.commit()
    connection.close()

    code, output = run("verify", "--json")
    found = [(d["table"], d["figure"], d["kept"]) for d in json.loads(output)["differences"]]

    assert before == []
    assert code == 1
    assert ("byok", "nanousd", 4201) in found
    assert ("billed", "nanousd", 1402) in found
    assert ("billed", "nanousd", None) in found


def test_a_folded_ledger_is_compared_by_user_too(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    store.fold()
    store.close()
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("UPDATE daily SET requests = 2 WHERE end_user_id = 3")
    connection.execute("UPDATE blocks SET failed = 9 WHERE end_user_id = 4")
    connection.execute("DELETE FROM by_user WHERE user_id = 5")
    connection.execute("UPDATE by_user SET duration_us = 1 WHERE user_id = 6")
    connection.commit()
    connection.close()

    code, output = run("verify", "--json")
    found = {(d["table"], d["figure"], d["kept"]) for d in json.loads(output)["differences"]}

    assert code == 1
    assert found == {
        ("daily", "requests", 2),
        ("blocks", "failed", 9),
        ("by_user", "rows it lacks", 1),
        ("by_user", "rows with other figures", 1),
    }


def test_a_damaged_file_is_compared_as_far_as_it_can_be_read(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    store.append([row(n) for n in range(100, 2000)])
    store.fold()
    store.close()
    with (folder / "ledger.db").open("r+b") as file:
        for page in range(file.seek(0, 2) // 4096 // 2, file.tell() // 4096, 3):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)

    code, output = run("verify", "--json")
    found = json.loads(output)["differences"]

    assert code == 1
    assert {one["figure"] for one in found} >= {"damage"}
    assert any("restore a backup" in str(one["kept"]) for one in found)
    assert len(found) > 1


def test_an_export_that_agrees_reconciles(folder: Path) -> None:
    file = write(folder, *(exported(n, identity=n % 2 == 0) for n in range(30)))

    code, output = run("reconcile", "--provider-csv", file, "--json")

    assert json.loads(output) == {"lines": 30, "mismatches": []}
    assert code == 0


def test_each_provider_is_held_to_its_own_attempt(folder: Path) -> None:
    failed = Attempt(
        "b/llama",
        "b",
        "cold",
        500,
        "provider_unavailable",
        0.0,
        1.0,
        Billed("b-1", Usage(40, 2), Cost(400, 300, 100, 0), CostSource.REPORTED, None),
    )
    answered = Attempt("alpha/llama", "alpha", "failover", 200, None, 1.0, 2.0)
    store = open_store(f"sqlite:///{folder}/ledger.db")
    cost = Cost(total=1900, prompt=1300, completion=600, cache_saving=60)
    store.append([replace(row(30), cost=cost, attempts=(failed, answered))])
    store.close()
    at_s = row(30).created_at_us / 1_000_000
    other = f"b-1,{at_s},llama-x,40,2,0.0000004"
    file = write(folder, *(exported(n) for n in range(31)), other)

    code, output = run("reconcile", "--provider-csv", file, "--json")

    assert json.loads(output) == {"lines": 32, "mismatches": []}
    assert code == 0
    for provider, lines in (("b", [other]), ("alpha", [exported(n) for n in range(31)])):
        code, output = run(
            "reconcile", "--provider-csv", write(folder, *lines), "--provider", provider
        )
        assert (code, output) == (0, f"{len(lines)} lines, 0 mismatches\n")


def test_what_is_missing_or_differs_is_named(folder: Path) -> None:
    lines = [exported(n) for n in range(2, 30)]
    lines[0] = exported(2, tokens=101)
    lines[1] = exported(3, cost="0.5")
    file = write(folder, *lines, f"chatcmpl-x,{row(5).created_at_us / 1e6},llama-x,1,1,0")

    code, output = run("reconcile", "--provider-csv", file, "--json")
    found = {
        (m["kind"], m["generation"], m["figure"], m["here"], m["there"])
        for m in json.loads(output)["mismatches"]
    }

    assert code == 1
    assert found == {
        ("different", "gen-00000002", "prompt_tokens", "100", "101"),
        ("different", "gen-00000003", "cost_usd", "0.0000015", "0.5"),
        ("missing there", "gen-00000000", None, None, None),
        ("missing there", "gen-00000001", None, None, None),
        ("missing here", None, "id", None, "chatcmpl-x"),
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", "name neither id nor created_at"),
        (f"{HEADER}\nx,yesterday,m,1,1,1\n", "line 2: created_at 'yesterday'"),
        (f"{HEADER}\nx,,m,1.5,1,1\n", "line 2: prompt_tokens '1.5'"),
        (f"{HEADER}\nx,,m,1,1,cheap\n", "line 2: cost_usd 'cheap'"),
        (f"{HEADER}\n,,m,1,1,1\n", "line 2: neither id nor created_at"),
    ],
)
def test_an_export_that_cannot_be_read_is_named(folder: Path, text: str, named: str) -> None:
    (folder / "export.csv").write_text(text)

    code, output = run("reconcile", "--provider-csv", "export.csv")

    assert code == 1
    assert named in output


def test_a_backup_made_under_load_is_whole(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    stop = threading.Event()

    def write_on() -> None:
        number = 100
        while not stop.is_set():
            store.append([generation(n, end_user=f"u{n}") for n in range(number, number + 20)])
            number += 20

    writer = threading.Thread(target=write_on)
    writer.start()
    code, output = run("backup", str(folder / "copy.db"), "--json")
    stop.set()
    writer.join()
    copy = open_store(f"sqlite:///{folder}/copy.db")
    rows = copy.count_rows()
    differences = list(copy.verify())
    copy.close()
    store.close()

    assert code == 0, output
    assert json.loads(output)["bytes"] > 0
    assert rows >= 30
    assert differences == []
    assert list(folder.glob("*.partial*")) == []


def test_a_backup_replaces_nothing(folder: Path) -> None:
    (folder / "copy.db").write_text("precious")

    code, output = run("backup", "copy.db")

    assert code == 1
    assert "exists: choose another name" in " ".join(output.split())
    assert (folder / "copy.db").read_text() == "precious"


def test_a_damaged_ledger_is_not_backed_up(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("UPDATE hourly SET requests = 5")
    connection.commit()
    connection.close()

    with pytest.raises(StoreError, match="not whole"):
        store.backup(folder / "copy.db")
    store.close()

    assert not (folder / "copy.db").exists()


def test_rows_nobody_bills_may_be_missing_there(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    store.append([generation(50, outcome=Outcome.REFUSED, usage=None, cost=None)])
    store.close()
    file = write(folder, *(exported(n) for n in range(30)))

    code, _ = run("reconcile", "--provider-csv", file)

    assert code == 0


def test_a_cost_that_its_own_price_does_not_explain_is_found(folder: Path) -> None:
    usage = Usage(100, 10, 40, 20, 5)
    price = "prompt 0.6 completion 0.8 cache_read 0.06 cache_write 0.75 cache_write_1h 1.2"
    # 40 x 600 + 40 x 60 + 15 x 750 + 5 x 1,200 and 10 x 800 nano-USD
    right = Cost(51_650, 43_650, 8_000, 16_350)
    priced = {"usage": usage, "price": price, "cost_source": CostSource.COMPUTED}
    store = open_store(f"sqlite:///{folder}/ledger.db")
    store.append(
        [
            generation(100, **priced, cost=right),
            generation(101, **priced, cost=Cost(51_651, 43_651, 8_000, 16_350)),
            generation(102, **priced | {"price": "cheap"}, cost=right),
            generation(103, **priced | {"cost_source": CostSource.REPORTED}, cost=Cost(1, 1, 0, 0)),
        ]
    )
    store.close()

    code, output = run("verify", "--json")

    found = json.loads(output)["differences"]
    assert code == 1
    assert [(one["where"], one["figure"], one["kept"]) for one in found] == [
        (generation(101).id, "cost total", 51_651),
        (generation(101).id, "cost prompt", 43_651),
        (generation(102).id, "price or tokens", None),
    ]


def test_what_has_no_price_is_listed(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    unknown = {"cost": None, "cost_source": None, "endpoint": "beta/new", "provider": "beta"}
    store.append([generation(number, **unknown) for number in (100, 101)])
    store.append([generation(102, usage=None, cost=None, cost_source=None)])
    store.close()

    code, output = run("unpriced", "--json")
    _, text = run("unpriced")

    assert code == 0
    assert json.loads(output)["unpriced"] == [
        {
            "model": "meta/llama",
            "provider": "beta",
            "endpoint": "beta/new",
            "requests": 2,
            "last_seen_us": generation(101).created_at_us,
        }
    ]
    assert "beta/new" in text


@pytest.mark.usefixtures("folder")
def test_nothing_without_a_price_is_said_in_words() -> None:
    assert run("unpriced") == (0, "every request had a price\n")
