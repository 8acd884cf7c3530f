from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from regulars.config.load import PriceQuery, Prices, load, load_local
from regulars.config.problems import ConfigError
from regulars.config.settings import RoutingSettings, Settings
from regulars.config.sources import Sources
from regulars.model.catalog import Disclosure, Timeouts, Traits
from regulars.model.money import Price

LISTED = Price(prompt=Decimal(1), completion=Decimal(2))

TWO_PROVIDERS = """
[server]
port = 9000
[upstream]
idle_timeout_s = 20
attempts_max = 3
[providers.alpha]
base_url = "https://alpha.example/v1/"
key_env = "ALPHA_API_KEY"
cache_ttl_s = 300
connect_timeout_s = 1
[providers.beta]
name = "Beta"
base_url = "http://127.0.0.1:8000/v1"
[models."a/b"]
context_length = 1000
[[models."a/b".endpoints]]
provider = "alpha"
upstream_model = "b-one"
price = { prompt = "0.60", completion = 0.8 }
total_timeout_s = 9
[[models."a/b".endpoints]]
provider = "beta"
upstream_model = "b-two"
capacity = 2
"""


def price_of(query: PriceQuery) -> Price | None:
    return LISTED if query == PriceQuery("beta", "http://127.0.0.1:8000/v1", "b-two") else None


def price_from(table: Mapping[str, str]) -> Price:
    return Price(prompt=Decimal(table["prompt"]), completion=Decimal(table["completion"]))


PRICES = Prices(of=price_of, read=price_from)


def loaded(folder: Path, text: str, **env: str) -> Settings:
    (folder / "regulars.toml").write_text(text, encoding="utf-8")
    return load(Sources(env={"ALPHA_API_KEY": "sk-alpha", **env}, folder=folder), PRICES)


def test_the_file_becomes_settings(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO_PROVIDERS)

    model = settings.catalog.models["a/b"]
    one, two = model.endpoints
    assert settings.server.port == 9000
    assert settings.upstream.attempts_max == 3
    assert (one.id, two.id) == ("alpha/a/b", "beta/a/b")
    assert one.provider.base_url == "https://alpha.example/v1"
    assert one.provider.key == "sk-alpha"
    assert one.provider.cache_ttl_s == 300
    assert (two.provider.name, two.provider.key, two.capacity) == ("Beta", None, 2.0)
    assert one.context_length == 1000


def test_what_a_provider_is_told_is_known_of_it_and_overridden_by_it_and_its_endpoints(
    tmp_path: Path,
) -> None:
    text = """
[providers.openai]
base_url = "https://api.openai.com/v1"
prompt_cache_key = "fill"
[providers.alpha]
base_url = "https://alpha.example/v1"
end_user_field = "metadata.user_id"
[models."a/b"]
[[models."a/b".endpoints]]
provider = "openai"
upstream_model = "b"
[[models."a/b".endpoints]]
provider = "alpha"
upstream_model = "b"
end_user_field = "none"
prompt_cache_key = "drop"
"""

    known, overridden = loaded(tmp_path, text).catalog.models["a/b"].endpoints

    assert known.provider.disclosure == Disclosure("safety_identifier", "fill")
    assert overridden.provider.disclosure == Disclosure("none", "drop")


def test_times_are_inherited_from_upstream_to_provider_to_endpoint(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO_PROVIDERS)

    one, two = settings.catalog.models["a/b"].endpoints
    assert one.provider.timeouts == Timeouts(connect_s=1, idle_s=20, total_s=9)
    assert two.provider.timeouts == Timeouts(idle_s=20)


def test_a_price_in_the_file_wins_and_an_absent_one_is_looked_up(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO_PROVIDERS)

    one, two = settings.catalog.models["a/b"].endpoints
    assert one.price == Price(prompt=Decimal("0.60"), completion=Decimal("0.8"))
    assert two.price == LISTED


def test_a_price_has_those_of_other_service_tiers(tmp_path: Path) -> None:
    flex = 'services = { flex = { prompt = "0.30", completion = "0.4" } }'
    text = TWO_PROVIDERS.replace("completion = 0.8 }", f"completion = 0.8, {flex} }}")

    settings = loaded(tmp_path, text)

    price = settings.catalog.models["a/b"].endpoints[0].price
    assert price is not None
    assert price.services == (("flex", Price(prompt=Decimal("0.30"), completion=Decimal("0.4"))),)


def test_a_price_has_those_of_longer_prompts(tmp_path: Path) -> None:
    long = '{ prompt = "1.20", completion = "1.60" }'
    flex = f'flex = {{ prompt = "0.30", completion = "0.4", above = {{ 200000 = {long} }} }}'
    above = f'above = {{ 1000000 = {{ prompt = "9", completion = "9" }}, 200000 = {long} }}'
    text = TWO_PROVIDERS.replace(
        "completion = 0.8 }", f"completion = 0.8, {above}, services = {{ {flex} }} }}"
    )

    settings = loaded(tmp_path, text)

    price = settings.catalog.models["a/b"].endpoints[0].price
    assert price is not None
    longer = Price(prompt=Decimal("1.20"), completion=Decimal("1.60"))
    plain = Price(prompt=Decimal("0.60"), completion=Decimal("0.8"))
    assert [price.of(tokens, None).prompt for tokens in (0, 200_000, 200_001, 2_000_000)] == [
        plain.prompt,
        plain.prompt,
        longer.prompt,
        Decimal(9),
    ]
    ((name, service),) = price.services
    assert name == "flex"
    assert service.of(200_001, None) == longer


@pytest.mark.parametrize("written", ["0", "-5", "many", '"2e5"'])
def test_a_length_that_is_none_is_named(tmp_path: Path, written: str) -> None:
    above = f'above = {{ {written} = {{ prompt = "9", completion = "9" }} }}'
    text = TWO_PROVIDERS.replace("completion = 0.8 }", f"completion = 0.8, {above} }}")

    with pytest.raises(ConfigError, match=r"price\.above"):
        loaded(tmp_path, text)


def test_no_source_at_all_gives_the_defaults_and_an_empty_catalog(tmp_path: Path) -> None:
    settings = load(Sources(env={"REGULARS_HOME": str(tmp_path / "home")}, folder=tmp_path), PRICES)

    assert settings.store.url == f"sqlite:///{tmp_path}/home/regulars.db"
    assert settings.server.port == 8787
    assert settings.catalog.models == {}


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO_PROVIDERS, REGULARS_SERVER__PORT="9001")

    assert settings.server.port == 9001


def test_the_environment_reaches_into_a_provider(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, TWO_PROVIDERS, REGULARS_PROVIDERS__BETA__BASE_URL="http://127.0.0.1:8001/v1"
    )

    assert settings.catalog.models["a/b"].endpoints[1].provider.base_url.endswith(":8001/v1")


def test_options_override_the_environment(tmp_path: Path) -> None:
    env = {"REGULARS_SERVER__PORT": "9001", "REGULARS_SERVER__WORKERS": "2"}
    options: dict[tuple[str, str], object] = {("server", "port"): 9002, ("server", "workers"): None}

    settings = load(Sources(env=env, options=options, folder=tmp_path), PRICES)

    assert (settings.server.port, settings.server.workers) == (9002, 2)


def test_variables_that_orchestrators_inject_are_left_alone(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "", REGULARS_PORT="tcp://10.0.0.1:8787")

    assert settings.server.port == 8787


def test_the_file_is_named_by_option_then_variable_then_folder(tmp_path: Path) -> None:
    for port, name in ((1, "regulars.toml"), (2, "variable.toml"), (3, "option.toml")):
        (tmp_path / name).write_text(f"[server]\nport = {port}\n")
    env = {"REGULARS_CONFIG": "variable.toml"}

    by_folder = load_local(Sources(folder=tmp_path))
    by_variable = load_local(Sources(env=env, folder=tmp_path))
    by_option = load_local(Sources(file=Path("option.toml"), env=env, folder=tmp_path))

    assert [s.server.port for s in (by_folder, by_variable, by_option)] == [1, 2, 3]


def test_a_relative_store_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "r.toml").write_text('[store]\nurl = "sqlite:///data/r.db"\n')

    settings = load_local(Sources(file=Path("etc/r.toml"), folder=tmp_path))

    assert settings.store.url == f"sqlite:///{tmp_path}/etc/data/r.db"


def test_a_relative_store_without_a_file_lies_in_the_working_folder(tmp_path: Path) -> None:
    settings = load_local(Sources(env={"REGULARS_STORE_URL": "sqlite:///r.db"}, folder=tmp_path))

    assert settings.store.url == f"sqlite:///{tmp_path}/r.db"


def test_an_absolute_store_stays_where_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"

    settings = load_local(Sources(env={"REGULARS_STORE_URL": url}, folder=tmp_path / "other"))

    assert settings.store.url == url


def test_two_offers_of_one_provider_are_told_apart_whatever_their_order(tmp_path: Path) -> None:
    provider = '[providers.p]\nbase_url = "http://h/v1"\n'
    offers = [
        f'[[models."a/b".endpoints]]\nprovider = "p"\nupstream_model = "{name}"\n'
        for name in ("x", "y")
    ]

    forward = loaded(tmp_path, provider + offers[0] + offers[1])
    backward = loaded(tmp_path, provider + offers[1] + offers[0])

    assert {e.id for e in forward.catalog.endpoints} == {"p/a/b@x", "p/a/b@y"}
    assert {e.id for e in backward.catalog.endpoints} == {"p/a/b@x", "p/a/b@y"}


def test_a_local_load_needs_no_provider_keys(tmp_path: Path) -> None:
    (tmp_path / "regulars.toml").write_text(TWO_PROVIDERS)

    settings = load_local(Sources(folder=tmp_path))

    assert settings.server.port == 9000


def test_a_key_never_shows_in_a_repr(tmp_path: Path) -> None:
    assert "sk-alpha" not in repr(loaded(tmp_path, TWO_PROVIDERS))


@pytest.mark.parametrize("name", ["one-model-two-providers", "local-server"])
def test_the_examples_load(name: str) -> None:
    file = Path(__file__).parents[2] / "examples" / f"{name}.toml"
    env = {"ALPHA_API_KEY": "x", "BETA_API_KEY": "y"}

    settings = load(Sources(file=file, env=env), PRICES)

    assert settings.catalog.models


ROUTED = """
[routing]
price_counts = true
floor = 1000
holdout_share = 0.1
[providers.beta]
base_url = "http://127.0.0.1:8000/v1"
[models."a/b"]
[[models."a/b".endpoints]]
provider = "beta"
upstream_model = "b"
cache_ttl_s = 3600
tokens_per_minute = 60_000
tag = "beta/turbo"
tier = true
parameters = ["tools"]
quantization = "fp8"
keeps_data = false
zdr = true
max_completion_tokens = 4096
"""


def test_what_routing_needs_to_know_becomes_settings(tmp_path: Path) -> None:
    settings = loaded(tmp_path, ROUTED)

    (endpoint,) = settings.catalog.endpoints
    assert settings.routing == RoutingSettings(price_counts=True, floor=1000, holdout_share=0.1)
    assert (endpoint.cache_ttl_s, endpoint.tokens_per_minute) == (3600, 60_000)
    assert endpoint.traits == Traits(
        tag="beta/turbo",
        tier=True,
        parameters=frozenset({"tools"}),
        quantization="fp8",
        keeps_data=False,
        zdr=True,
        completion_tokens_max=4096,
    )


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("[routing]\nholdout_share = 0.6", "routing.holdout_share"),
        ("[routing]\nshare_s = 0", "routing.share_s"),
        ("[routing]\nfloor = nan", "routing.floor"),
    ],
)
def test_routing_values_out_of_bounds_are_refused(tmp_path: Path, line: str, path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        loaded(tmp_path, line)
