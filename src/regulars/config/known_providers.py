"""Providers that a key in the environment is enough for: a literal table.

Only a start: a few models each, as clients name them at OpenRouter and as the provider does.
A config file names any others. Read November 2026 from the providers' model lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from regulars.model.catalog import Disclosure

_SILENT: Final = Disclosure()


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """One row: `models` maps the id that clients send to the provider's own.

    `disclosure`: a pseudonym goes into a field that is for finding abuse, and into none that
    steers the provider's cache (OpenAI's old `user`, Fireworks' `user`, DeepSeek's `user_id`):
    there users who share a prefix would no longer share its cache.
    """

    slug: str
    name: str
    base_url: str
    key_env: str
    models: Mapping[str, str]
    disclosure: Disclosure = _SILENT


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that people run on their own machine, and its usual port."""

    slug: str
    name: str
    port: int


KNOWN_PROVIDERS: Final = (
    KnownProvider(
        slug="openai",
        name="OpenAI",
        base_url="https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        models={
            "openai/gpt-6-sol": "gpt-6-sol",
            "openai/gpt-6-luna": "gpt-6-luna",
            "openai/gpt-5.4-mini": "gpt-5.4-mini",
            "openai/gpt-5.4-nano": "gpt-5.4-nano",
        },
        disclosure=Disclosure(end_user_field="safety_identifier"),
    ),
    KnownProvider(
        slug="openrouter",
        name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        models={
            "openai/gpt-oss-120b": "openai/gpt-oss-120b",
            "z-ai/glm-5.3": "z-ai/glm-5.3",
            "moonshotai/kimi-k3": "moonshotai/kimi-k3",
            "deepseek/deepseek-v4-pro": "deepseek/deepseek-v4-pro",
        },
        disclosure=Disclosure(end_user_field="user"),
    ),
    KnownProvider(
        slug="deepseek",
        name="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_env="DEEPSEEK_API_KEY",
        models={
            "deepseek/deepseek-v4-flash": "deepseek-v4-flash",
            "deepseek/deepseek-v4-pro": "deepseek-v4-pro",
        },
    ),
    KnownProvider(
        slug="groq",
        name="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        models={
            "openai/gpt-oss-120b": "openai/gpt-oss-120b",
            "openai/gpt-oss-20b": "openai/gpt-oss-20b",
            "qwen/qwen3.8-27b": "qwen/qwen3.8-27b",
        },
        disclosure=Disclosure(end_user_field="user"),
    ),
    KnownProvider(
        slug="mistral",
        name="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        models={
            "mistralai/mistral-medium": "mistral-medium-latest",
            "mistralai/mistral-small": "mistral-small-latest",
        },
        # Mistral caches nothing for requests without a key.
        disclosure=Disclosure(prompt_cache_key="fill"),
    ),
    KnownProvider(
        slug="together",
        name="Together",
        base_url="https://api.together.xyz/v1",
        key_env="TOGETHER_API_KEY",
        models={
            "openai/gpt-oss-120b": "openai/gpt-oss-120b",
            "moonshotai/kimi-k3": "moonshotai/Kimi-K3",
            "z-ai/glm-5.3": "zai-org/GLM-5.3",
        },
    ),
    KnownProvider(
        slug="fireworks",
        name="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        models={
            "openai/gpt-oss-120b": "accounts/fireworks/models/gpt-oss-120b",
            "openai/gpt-oss-20b": "accounts/fireworks/models/gpt-oss-20b",
            "moonshotai/kimi-k3": "accounts/fireworks/models/kimi-k3",
            "z-ai/glm-5.3": "accounts/fireworks/models/glm-5p3",
            "deepseek/deepseek-v4-pro": "accounts/fireworks/models/deepseek-v4-pro",
        },
    ),
    KnownProvider(
        slug="xai",
        name="xAI",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        models={"x-ai/grok-4.7": "grok-4.7", "x-ai/grok-4.3": "grok-4.3"},
    ),
    KnownProvider(
        slug="cerebras",
        name="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        models={
            "openai/gpt-oss-120b": "gpt-oss-120b",
            "qwen/qwen3.8-27b": "qwen-3.8-27b",
        },
    ),
    KnownProvider(
        slug="moonshotai",
        name="Moonshot AI",
        base_url="https://api.moonshot.ai/v1",
        key_env="MOONSHOT_API_KEY",
        models={"moonshotai/kimi-k3": "kimi-k3", "moonshotai/kimi-k2.6": "kimi-k2.6"},
        disclosure=Disclosure(end_user_field="safety_identifier"),
    ),
)

LOCAL_SERVERS: Final = (
    LocalServer("ollama", "Ollama", 11434),
    LocalServer("vllm", "vLLM", 8000),
    LocalServer("llama-cpp", "llama.cpp", 8080),
    LocalServer("lm-studio", "LM Studio", 1234),
    LocalServer("sglang", "SGLang", 30000),
)


def known_disclosure(slug: str) -> Disclosure:
    """Return what a provider of this name is told, unless the configuration says otherwise."""
    return next((known.disclosure for known in KNOWN_PROVIDERS if known.slug == slug), _SILENT)
