import pytest

from regulars.config.discover import discover, local_offers, models_in
from regulars.config.known_providers import KNOWN_PROVIDERS, LocalServer
from regulars.config.load import PriceQuery, Prices
from regulars.model.money import Price


def nothing_to_read(_table: object) -> Price:
    raise AssertionError("no price tables here")


PRICES = Prices(of=lambda _query: None, read=nothing_to_read)


def test_a_key_in_the_environment_is_a_provider() -> None:
    found = discover({"DEEPSEEK_API_KEY": " sk-d\n"}, PRICES, servers=())

    assert found is not None
    endpoint = found.catalog.models["deepseek/deepseek-v4-pro"].endpoints[0]
    assert endpoint.id == "deepseek/deepseek/deepseek-v4-pro"
    assert endpoint.provider.key == "sk-d"
    assert "DEEPSEEK_API_KEY" in found.where
    assert "sk-d" not in found.where


def test_one_model_at_several_providers_is_one_model_with_several_endpoints() -> None:
    found = discover({"GROQ_API_KEY": "a", "CEREBRAS_API_KEY": "b"}, PRICES, servers=())

    assert found is not None
    endpoints = found.catalog.models["openai/gpt-oss-120b"].endpoints
    assert [e.provider.slug for e in endpoints] == ["groq", "cerebras"]


def test_prices_are_asked_by_the_names_of_the_provider() -> None:
    asked: list[PriceQuery] = []

    def of(query: PriceQuery) -> None:
        asked.append(query)

    discover({"XAI_API_KEY": "a"}, Prices(of=of, read=nothing_to_read), servers=())

    assert PriceQuery("xai", "https://api.x.ai/v1", "grok-4.7") in asked


def test_an_empty_key_counts_as_none() -> None:
    assert discover({"OPENAI_API_KEY": " "}, PRICES, servers=()) is None


def test_the_demo_can_be_forced() -> None:
    assert discover({"OPENAI_API_KEY": "x", "REGULARS_DISCOVER": "demo"}, PRICES) is None


def test_the_table_names_each_provider_once() -> None:
    slugs = [known.slug for known in KNOWN_PROVIDERS]
    variables = [known.key_env for known in KNOWN_PROVIDERS]

    assert len(set(slugs)) == len(slugs)
    assert len(set(variables)) == len(variables)
    assert all(known.base_url.startswith("https://") for known in KNOWN_PROVIDERS)


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (b'{"data": [{"id": "llama3.2:3b"}]}', {"llama3.2:3b": None}),
        (b'{"data": [{"id": "m", "max_model_len": 4096}]}', {"m": 4096}),
        (b'{"data": [{"id": "m", "meta": {"n_ctx": 8192}}]}', {"m": 8192}),
        (b'{"data": [{"id": 1}, {"id": ""}, {"id": "a\\nb"}, 7]}', {}),
        (b'{"data": {}}', {}),
        (b"[]", {}),
        (b"<html>", {}),
        (b"\xff", {}),
    ],
)
def test_only_an_openai_list_of_models_counts(body: bytes, models: dict[str, int | None]) -> None:
    assert models_in(body) == models


def test_a_bare_name_gets_the_servers_name_in_front() -> None:
    server = LocalServer("ollama", "Ollama", 11434)

    offers = local_offers(server, {"llama3.2:3b": None, "org/model": 4096})

    assert [offer.model for offer in offers] == ["ollama/llama3.2:3b", "org/model"]
    assert [offer.upstream_model for offer in offers] == ["llama3.2:3b", "org/model"]
