"""`regulars simulate` as a person calls it."""

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from regulars.cli.main import app

KEYS = {
    "hit_ratio",
    "cost_imbalance_1m",
    "cost_imbalance_run",
    "warm_moves",
    "collateral_moves",
    "return_moves",
    "users_on_one_endpoint",
    "endpoint_share",
    "decisions_per_s",
}


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def simulate(*arguments: object) -> Ended:
    result = CliRunner().invoke(app, ["simulate", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def line(t: float, user: str = "u", session: str = "s", blocks: int = 4) -> dict[str, object]:
    return {
        "t": t,
        "user": user,
        "session": session,
        "input_tokens": 512 * blocks,
        "output_tokens": 10,
        "block_tokens": 512,
        "blocks": [f"{user}-{n}" for n in range(blocks)],
    }


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    text = "".join(json.dumps(one) + "\n" for one in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.gz"])
def test_a_trace_plain_or_packed_gives_json(tmp_path: Path, name: str) -> None:
    trace = write(tmp_path / name, [line(n * 10.0, f"u{n % 3}", f"s{n % 3}") for n in range(30)])

    result = simulate(trace, "--endpoints", 4)

    outcome = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert set(outcome) >= KEYS
    assert outcome["hit_ratio"] == 1.0
    assert outcome["users_on_one_endpoint"] == 1.0
    assert sum(outcome["endpoint_share"].values()) == pytest.approx(1.0, abs=1e-5)


def test_the_installed_command_knows_it(tmp_path: Path) -> None:
    trace = write(tmp_path / "t", [line(n * 1.0) for n in range(5)])

    result = subprocess.run(
        [sys.executable, "-m", "regulars", "simulate", str(trace)],
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert json.loads(result.stdout)["requests"] == 5


def test_every_option_together(tmp_path: Path) -> None:
    trace = write(tmp_path / "t", [line(n * 1.0, f"u{n % 9}", f"s{n % 9}") for n in range(300)])

    result = simulate(
        trace,
        *("--endpoints", 3, "--weights", "1,1,2", "--ttl", 60, "--lru-blocks", 100),
        *("--nodes", 4, "--share-delay", 2.5, "--outage", "1:50:100", "--add", 150),
        *("--policy", "warm", "--seed", 7),
    )

    outcome = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert outcome["requests"] == 300
    assert set(outcome["share_after"]) == {"endpoint-1", "endpoint-3"}


@pytest.mark.parametrize("policy", ["random", "hrw"])
def test_other_policies_for_comparison(tmp_path: Path, policy: str) -> None:
    trace = write(tmp_path / "t", [line(n * 1.0, "u", f"s{n}") for n in range(50)])

    result = simulate(trace, "--policy", policy)

    outcome = json.loads(result.stdout)
    assert (outcome["hit_ratio"] == 1.0) is (policy == "hrw")


def test_nodes_without_a_channel(tmp_path: Path) -> None:
    trace = write(tmp_path / "t", [line(n * 1.0, f"u{n % 5}", f"s{n}") for n in range(100)])

    result = simulate(trace, "--nodes", 4, "--unshared")

    assert json.loads(result.stdout)["users_on_one_endpoint"] == 1.0


def test_an_empty_trace_is_no_error(tmp_path: Path) -> None:
    result = simulate(write(tmp_path / "t", []))

    outcome = json.loads(result.stdout)
    assert outcome["requests"] == 0
    assert outcome["cost_imbalance_1m"] is None


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("{", ":2: not a JSON object"),
        ("[]", ":2: Expected `object`"),
        (json.dumps({**line(1), "t": "soon"}), "$.t"),
        (json.dumps({**line(1), "input_tokens": -1}), "$.input_tokens"),
        (json.dumps({**line(1), "block_tokens": 0}), "$.block_tokens"),
        (json.dumps({**line(1), "user": ""}), "$.user"),
        (json.dumps({k: v for k, v in line(1).items() if k != "blocks"}), "`blocks`"),
        (json.dumps(line(-5)), "sort the trace by t"),
        ('{"t": NaN}', ":2: not a JSON object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, broken: str, said: str) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text(json.dumps(line(0)) + "\n" + broken + "\n")

    result = simulate(trace)

    assert result.returncode == 1
    assert "t.jsonl:2:" in result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_cut_or_missing_is_named(tmp_path: Path) -> None:
    packed = write(tmp_path / "t.gz", [line(n * 1.0) for n in range(100)])
    packed.write_bytes(packed.read_bytes()[:-20])

    cut = simulate(packed)
    missing = simulate(tmp_path / "nowhere")

    assert cut.returncode == 1
    assert "cannot be read" in cut.stderr
    assert missing.returncode == 1
    assert "cannot be opened" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weights", "1,2"], "2 numbers for 8"),
        (["--weights", "1,x"], "no list of numbers"),
        (["--weights", "1,0,1,1,1,1,1,1"], "above 0"),
        (["--outage", "3"], "3:600:900"),
        (["--outage", "9:0:1"], "endpoint 9"),
        (["--outage", "1:5:5"], "ends after it begins"),
        (["--endpoints", "1", "--outage", "0:0:9"], "no endpoint is up"),
        (["--policy", "best"], "warm, random, hrw"),
        (["--overlay", "accounts"], "--convert-mooncake"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    trace = write(tmp_path / "t", [line(0)])

    result = simulate(trace, *arguments)

    shown = " ".join(result.stderr.replace("│", " ").split())
    assert result.returncode == 2
    assert said in shown


def test_no_trace_is_a_mistake() -> None:
    assert simulate().returncode == 2


def test_mooncake_is_converted_and_dealt_to_accounts(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "timestamp": 3000 * (n // 10),
            "input_length": 1500,
            "output_length": 5,
            "hash_ids": [0, 100 + n % 60, 1000 + n],
        }
        for n in range(120)
    ]
    source = write(tmp_path / "m.jsonl.gz", rows)
    rates = tmp_path / "rates.csv"
    rates.write_text(
        "model,window_start_s,window_total_rate,client_rank,client_id,rate_req_per_s\n"
        "reason/deepseek-r1,0,4,1,a,3\nreason/deepseek-r1,0,4,2,b,1\nother,0,9,1,c,9\n"
    )
    plain, dealt = tmp_path / "plain.jsonl", tmp_path / "dealt.jsonl.gz"

    first = simulate("--convert-mooncake", source, plain)
    second = simulate(
        "--convert-mooncake", source, dealt, "--overlay", "accounts", "--rates", rates
    )

    requests = [msgspec.json.decode(row) for row in plain.read_bytes().splitlines()]
    with gzip.open(dealt) as file:
        accounts = [msgspec.json.decode(row) for row in file]
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [request["t"] for request in requests[:11]] == pytest.approx(
        [0.3 * n for n in range(10)] + [3.0]
    )
    assert requests[0]["session"] == requests[60]["session"] != requests[1]["session"]
    assert {request["user"] for request in accounts} == {"account-1", "account-2"}
    assert accounts[0]["input_tokens"] == 1500 + 4096
    assert len(accounts[0]["blocks"]) == 8 + 3
    assert simulate(dealt).returncode == 0


def test_an_overlay_without_rates_is_a_mistake(tmp_path: Path) -> None:
    source = write(tmp_path / "m", [])

    result = simulate("--convert-mooncake", source, tmp_path / "o", "--overlay", "accounts")

    assert result.returncode == 2


def test_rates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    source = write(tmp_path / "m", [])
    rates = tmp_path / "rates.csv"
    rates.write_text("nothing\n1\n")

    result = simulate(
        *("--convert-mooncake", source, tmp_path / "o", "--overlay", "accounts"),
        *("--rates", rates),
    )

    assert result.returncode == 1
    assert "rates.csv" in result.stderr
