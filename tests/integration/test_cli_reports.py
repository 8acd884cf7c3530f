"""Commands that answer who used what: on the store, and the same by --url."""

import csv
import json
import re
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from fakes.sample_ledger import HOSTILE_IDS, hostile_rows, sample_rows
from regulars.cli.main import app
from regulars.model.generation import Generation
from regulars.stores.sqlite import open_store

NOW_S = 1_790_000_000.0
RANGE = ("--from", "2026-01-01")


@pytest.fixture(scope="module")
def rows() -> list[Generation]:
    return sample_rows(NOW_S, count=1500) + hostile_rows(NOW_S)


@pytest.fixture(scope="module")
def gateway(
    rows: list[Generation], tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    folder = tmp_path_factory.mktemp("cli")
    store = open_store(f"sqlite:///{folder}/regulars.db")
    store.append(rows)
    store.close()
    (folder / "regulars.toml").write_text('[store]\nurl = "sqlite:///regulars.db"\n')
    with ScriptedProvider() as provider, running_gateway(folder, [provider]) as running:
        yield running


@pytest.fixture(params=["store", "url"])
def where(
    request: pytest.FixtureRequest, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """How a command is told where to ask."""
    monkeypatch.setenv("REGULARS_MANAGEMENT_KEY", gateway.management_key)
    if request.param == "url":
        return ["--url", gateway.url]
    path = Path(gateway.settings.store.url.removeprefix("sqlite:///")).parent / "regulars.toml"
    return ["--config", str(path)]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_activity_by_user_is_what_the_rows_add_up_to(
    where: list[str], rows: list[Generation]
) -> None:
    code, output = run("activity", "--by", "user", *RANGE, "--limit", "1000", "--json", *where)

    assert code == 0
    found = {
        row["user"]: (row["requests"], row["cost"])
        for row in json.loads(output, parse_float=Decimal)["data"]
    }
    truth: dict[str | None, tuple[int, Decimal]] = {}
    for row in rows:
        requests, cost = truth.get(row.end_user, (0, Decimal(0)))
        nanousd = 0 if row.cost is None else row.cost.total
        truth[row.end_user] = (requests + 1, cost + Decimal(nanousd) / 10**9)
    assert found == truth


def test_the_csv_of_the_same_question_has_the_same_numbers(
    where: list[str], tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"

    code, _ = run("export", "-o", str(target), "--by", "model", *RANGE, *where)
    _, output = run("activity", "--by", "model", *RANGE, "--json", *where)

    assert code == 0
    with target.open(newline="") as opened:
        exported = {row["model"]: Decimal(row["cost"]) for row in csv.DictReader(opened)}
    shown = json.loads(output, parse_float=Decimal)["data"]
    assert exported == {row["model"]: row["cost"] for row in shown}


def test_tables_have_bars_and_hostile_ids_move_no_cursor(where: list[str]) -> None:
    code, output = run("users", "top", "--since", "90000d", "--limit", "100", *where)

    assert code == 0
    assert "ada.lovelace" in output
    assert "████████████" in output
    assert "\u202e" not in output


def test_one_user_in_all_by_model_and_by_day(where: list[str], rows: list[Generation]) -> None:
    code, output = run("users", "show", "linus", "--since", "90000d", "--json", *where)

    assert code == 0
    found = json.loads(output)
    count = sum(row.end_user == "linus" for row in rows)
    assert found["total"][0]["requests"] == count
    assert sum(row["requests"] for row in found["by_model"]) == count


def test_a_generation_in_full(where: list[str], rows: list[Generation]) -> None:
    code, output = run("generation", rows[0].id, "--json", *where)

    assert code == 0
    assert json.loads(output)["id"] == rows[0].id
    assert rows[0].id in run("generation", rows[0].id, *where)[1]


def test_what_is_not_there_is_named_and_exits_with_1(where: list[str]) -> None:
    code, output = run("generation", "gen-unknown", *where)

    assert code == 1
    assert "generation 'gen-unknown' is not known" in output


@pytest.mark.parametrize(
    "mistaken",
    [
        ["activity", "--by", "member"],
        ["activity", "--metrics", "reqests"],
        ["activity", "--from", "2026-11-30", "--to", "2026-11-01"],
        ["activity", "--time-zone", "Mars/Olympus"],
        ["users", "top", "--by", "reqests"],
        ["users", "show", ""],
        ["export", "--format", "xls"],
    ],
    ids=lambda words: " ".join(words[1:]),
)
def test_a_mistake_in_the_command_exits_with_2(where: list[str], mistaken: list[str]) -> None:
    code, output = run(*mistaken, *where)

    assert code == 2
    assert output.startswith("regulars: ")


@pytest.mark.parametrize("command", [["activity", "--by", "user"], ["users", "top"]])
def test_a_table_that_leaves_groups_out_says_so(where: list[str], command: list[str]) -> None:
    asked = [*command, "--limit", "2", *where]
    if command == ["activity", "--by", "user"]:
        asked += RANGE
    else:
        asked += ["--since", "9999d"]

    table = CliRunner().invoke(app, asked)
    as_json = CliRunner().invoke(app, [*asked, "--json"])

    assert "there are more than 2 groups" in table.stderr
    assert len(json.loads(as_json.stdout)["data"]) == 2
    assert "there are more than 2 groups" in json.loads(as_json.stdout)["cut"]


def test_a_table_that_is_whole_says_nothing(where: list[str]) -> None:
    asked = ["activity", "--by", "user", "--limit", "1000", *RANGE, *where]

    table = CliRunner().invoke(app, asked)
    as_json = CliRunner().invoke(app, [*asked, "--json"])

    assert table.stderr == ""
    assert json.loads(as_json.stdout)["cut"] is None


def test_tail_shows_the_newest_oldest_first(where: list[str], rows: list[Generation]) -> None:
    code, output = run("tail", "--no-follow", "--last", "3", "--user", "linus", "--json", *where)

    newest = sorted((r.created_at_us, r.id) for r in rows if r.end_user == "linus")[-3:]
    assert code == 0
    assert [json.loads(line)["id"] for line in output.splitlines()] == [each for _, each in newest]


def test_an_export_is_whole_or_not_there(where: list[str], tmp_path: Path) -> None:
    target = tmp_path / "out.xls"

    code, output = run("export", "-o", str(target), *where)

    assert code == 2
    assert "format: 'xls' is not known" in output
    assert list(tmp_path.iterdir()) == []


def test_an_export_as_json_to_the_screen_is_lines_of_json(
    where: list[str], rows: list[Generation]
) -> None:
    result = CliRunner().invoke(app, ["export", "--json", "--bare", *RANGE, *where])
    refused, reason = run("export", "--json", "--format", "csv", *RANGE, *where)

    assert result.exit_code == 0
    assert len([json.loads(line) for line in result.stdout.splitlines()]) == len(rows)
    assert refused == 2
    assert "leave one" in reason


def test_parquet_has_types_exact_money_and_every_id(
    where: list[str], tmp_path: Path, rows: list[Generation]
) -> None:
    target = tmp_path / "out.parquet"

    code, _ = run("export", "-o", str(target), *RANGE, *where)

    assert code == 0
    with duckdb.connect() as connection:
        count, cost, kind = connection.execute(
            "SELECT count(*), sum(cost_total), any_value(typeof(cost_total)) FROM read_parquet(?)",
            [str(target)],
        ).fetchall()[0]
        users = {
            u
            for (u,) in connection.execute(
                'SELECT "user" FROM read_parquet(?)', [str(target)]
            ).fetchall()
        }
    assert (count, kind) == (len(rows), "DECIMAL(18,9)")
    assert cost == Decimal(sum(r.cost.total for r in rows if r.cost)) / 10**9
    assert users >= set(HOSTILE_IDS)


def test_pdf_is_made_of_hostile_ids_and_of_nothing(where: list[str], tmp_path: Path) -> None:
    full, empty = tmp_path / "full.pdf", tmp_path / "empty.pdf"

    codes = [
        run("export", "-o", str(full), *RANGE, "--time-zone", "Asia/Tokyo", *where)[0],
        run("export", "-o", str(empty), "--from", "2020-01-01", "--to", "2020-01-02", *where)[0],
    ]

    assert codes == [0, 0]
    assert full.read_bytes().startswith(b"%PDF-")
    assert empty.read_bytes().rstrip().endswith(b"%%EOF")


def test_a_missing_key_is_named(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    code, output = run("activity", "--url", gateway.url, "--key-env", "NO_SUCH_KEY")

    assert code == 2
    assert "the variable 'NO_SUCH_KEY' holds no key" in output


def test_a_gateway_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_MANAGEMENT_KEY", "sk-reg-x")

    code, output = run("activity", "--url", "http://127.0.0.1:1")

    assert code == 1
    assert "the gateway cannot be asked" in output


def test_scheduled_reports_are_listed_run_and_recorded(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    config = tmp_path / "regulars.toml"
    config.write_text(
        f'[store]\nurl = "{gateway.settings.store.url}"\n'
        '[[reports]]\nname = "weekly"\ncron = "0 6 * * 1"\nperiod = "week"\n'
        'group_by = ["user"]\nfolder = "out"\n'
    )

    listed = run("reports", "list", "--json", "--config", str(config))
    delivered = run("reports", "run", "weekly", "--config", str(config))
    recorded = run("reports", "deliveries", "--json", "--config", str(config))

    code, output = run("reports", "run", "daily", "--config", str(config))

    assert code == 2
    assert "report 'daily' is not configured; known: weekly" in output
    assert json.loads(listed[1])["data"][0]["name"] == "weekly"
    assert delivered[0] == 0
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert json.loads(recorded[1]) == {"data": []}


def test_a_table_too_wide_for_the_terminal_becomes_lines(
    where: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")

    narrow = CliRunner().invoke(app, ["activity", "--limit", "1", *RANGE, *where]).stdout
    monkeypatch.setenv("COLUMNS", "110")
    wide = CliRunner().invoke(app, ["activity", "--limit", "1", *RANGE, *where]).stdout

    assert max(map(len, narrow.splitlines())) <= 40
    assert re.search(r"Prompt tokens +[0-9,]{7,}", narrow)
    assert re.search(r"llama.* [0-9,]{7,} ", wide)


def test_activity_without_names_of_figures_shows_the_usual_ones(where: list[str]) -> None:
    usual = run("activity", *RANGE, *where)

    assert run("activity", "--metrics", "", *RANGE, *where) == usual


def test_two_words_on_where_to_begin_are_refused(where: list[str]) -> None:
    code, said = run("activity", "--since", "3d", *RANGE, *where)

    assert code == 2
    assert "--since and --from both say where to begin" in said


def test_bars_of_top_users_show_what_they_are_sorted_by(where: list[str]) -> None:
    code, said = run("users", "top", "--by", "sessions", "--since", "9999d", *where)
    _, moments = run("users", "top", "--by", "last_seen", "--since", "9999d", *where)

    bars = [len(line.rstrip().split()[-1]) for line in said.splitlines() if "█" in line]
    assert code == 0
    assert bars == sorted(bars, reverse=True)
    assert "█" not in moments


def test_top_users_are_users(where: list[str], rows: list[Generation]) -> None:
    code, output = run("users", "top", "--limit", "1000", "--since", "9999d", "--json", *where)

    assert code == 0
    assert None in {row.end_user for row in rows}
    assert {row["user"] for row in json.loads(output)["data"]} == {row.end_user for row in rows} - {
        None
    }
