from collections.abc import Mapping
from pathlib import Path

import pytest

from regulars.config.load import Prices, load
from regulars.config.problems import ConfigError, Problem
from regulars.config.sources import Sources
from regulars.model.money import Price

PROVIDER = '[providers.p]\nbase_url = "http://h/v1"\n'
ENDPOINT = '[[models."a/b".endpoints]]\nprovider = "p"\nupstream_model = "m"\n'
GOOD = PROVIDER + ENDPOINT


def no_price(_table: Mapping[str, str]) -> Price:
    raise ValueError("prices are out")


PRICES = Prices(of=lambda _query: None, read=no_price)


def problems(folder: Path, text: str | bytes, **env: str) -> tuple[Problem, ...]:
    file = folder / "regulars.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(Sources(env=env, folder=folder), PRICES)
    return caught.value.problems


CASES = {
    "unknown key": ("[server]\nprot = 1", "server.prot", "did you mean `port`?"),
    "unknown section": ("[sever]\n", "sever", "did you mean `server`?"),
    "unknown key far from all": ("[store]\nxyz = 1", "store.xyz", "known here: url"),
    "port out of bounds": ("[server]\nport = 70000", "server.port", "at most 65535"),
    "no workers": ("[server]\nworkers = 0", "server.workers", "at least 1"),
    "time not positive": ("[server]\nbody_timeout_s = 0", "server.body_timeout_s", "more than 0"),
    "time not a number": ("[upstream]\nidle_timeout_s = nan", "upstream.idle_timeout_s", "pieces"),
    "size too small": ("[server]\nbody_limit_bytes = 1", "server.body_limit_bytes", "1024"),
    "wrong kind": ('[server]\nport = "x"', "server.port", "TCP port"),
    "section is no table": ("server = 1", "server", ""),
    "unknown store": ('[store]\nurl = "oracle://x"', "store.url", "sqlite:///regulars.db"),
    "no address": ("[providers.p]\n" + ENDPOINT, "providers.p.base_url", "add it"),
    "not http": (
        '[providers.p]\nbase_url = "ftp://h"\n' + ENDPOINT,
        "providers.p.base_url",
        "https://api.example.com/v1",
    ),
    "unknown dialect": (
        PROVIDER + 'dialect = "latin"\n' + ENDPOINT,
        "providers.p.dialect",
        "known today: openai",
    ),
    "variable not set": (
        PROVIDER + 'key_env = "P_KEY"\n' + ENDPOINT,
        "providers.p.key_env",
        "export P_KEY=",
    ),
    "bad provider name": (
        '[providers."P P"]\nbase_url = "http://h"\n' + GOOD,
        'providers."P P"',
        "small letters",
    ),
    "header with a line break": (
        PROVIDER + 'headers = { x = "a\\nb" }\n' + ENDPOINT,
        "providers.p.headers",
        "no line breaks",
    ),
    "unknown provider": (
        PROVIDER + ENDPOINT.replace('"p"', '"q"'),
        'models."a/b".endpoints[0].provider',
        "[providers.q]",
    ),
    "no endpoints": (PROVIDER + '[models."a/b"]\n', 'models."a/b".endpoints', "add it"),
    "empty endpoints": (
        PROVIDER + '[models."a/b"]\nendpoints = []\n',
        'models."a/b".endpoints',
        "Who serves it",
    ),
    "endpoint is no table": (
        PROVIDER + '[models."a/b"]\nendpoints = [1]\n',
        'models."a/b".endpoints[0]',
        "",
    ),
    "no models": (PROVIDER, "models", "endpoints"),
    "same id twice": (GOOD + ENDPOINT, 'models."a/b".endpoints[1].id', "of its own"),
    "capacity": (GOOD + "capacity = 0", 'models."a/b".endpoints[0].capacity', "more than 0"),
    "unknown price part": (
        GOOD + 'price = { prompt = "1", completion = "1", cached = "1" }',
        'models."a/b".endpoints[0].price.cached',
        "did you mean `cache_read`?",
    ),
    "negative price": (
        GOOD + 'price = { prompt = "-1", completion = "1" }',
        'models."a/b".endpoints[0].price.prompt',
        "at least 0",
    ),
    "price refused by billing": (
        GOOD + 'price = { prompt = "1", completion = "1" }',
        'models."a/b".endpoints[0].price',
        "per million",
    ),
}


@pytest.mark.parametrize(("text", "path", "fix"), CASES.values(), ids=list(CASES))
def test_each_problem_has_its_path_and_a_fix(
    tmp_path: Path, text: str, path: str, fix: str
) -> None:
    found = problems(tmp_path, text)

    assert path in [problem.path for problem in found]
    assert fix in next(problem.fix for problem in found if problem.path == path)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = '[server]\nport = -1\nprot = 2\n[providers.p]\nbase_url = "x"\nkey_env = "P_KEY"\n'

    found = problems(tmp_path, text, REGULARS_SERVRE__PORT="1")

    assert {problem.path for problem in found} == {
        "REGULARS_SERVRE__PORT",
        "server.port",
        "server.prot",
        "providers.p.base_url",
        "providers.p.key_env",
        "models",
    }


def test_a_problem_names_the_variable_that_set_it(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "", REGULARS_SERVER__PORT="many")

    assert problem.path == "server.port"
    assert problem.value == "'many'"
    assert "REGULARS_SERVER__PORT" in problem.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REGULARS_SERVER__PORT__X", "[server]\nport = 1\n"),
        ("REGULARS_SERVER__PORT", "server = 1\n"),
        ("REGULARS_DISCOVER", ""),
    ],
)
def test_a_variable_that_leads_nowhere_is_named(tmp_path: Path, name: str, text: str) -> None:
    found = problems(tmp_path, text, **{name: "1"})

    assert name in [problem.path for problem in found]


def test_broken_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[server]\nport = = 1\n")

    assert problem.path.endswith("regulars.toml")
    assert "line 2" in problem.message


def test_bytes_that_are_not_utf8_are_reported_with_their_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, b"[server]\n# \xff\n")

    assert "not UTF-8 at line 2" in problem.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load(Sources(file=Path("nowhere.toml"), folder=tmp_path), PRICES)


@pytest.mark.parametrize(
    "text",
    [
        PROVIDER + 'key_env = "sk-canary-1"\n' + ENDPOINT,
        PROVIDER + 'key_env = "gsk_canary"\n' + ENDPOINT,
        PROVIDER + 'api_key = "canary"\n' + ENDPOINT,
        PROVIDER + 'headers = { authorization = "canary\\n" }\n' + ENDPOINT,
        PROVIDER + "headers = { authorization = ['canary'] }\n" + ENDPOINT,
        '[providers.p]\nbase_url = "ftp://me:canary@h"\n' + ENDPOINT,
        '[store]\nurl = "postgresql://me:canary@h/db"\n',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    found = problems(tmp_path, text)

    assert "canary" not in str(found)


def test_a_key_that_cannot_be_sent_is_found_without_showing_it(tmp_path: Path) -> None:
    text = PROVIDER + 'key_env = "P_KEY"\n' + ENDPOINT

    (problem,) = problems(tmp_path, text, P_KEY="canary\x00x")

    assert problem.path == "providers.p.key_env"
    assert "canary" not in str(problem)
