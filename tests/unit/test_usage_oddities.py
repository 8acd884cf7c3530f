"""Usage objects that are oddly shaped, or wrong in one figure: the others still count."""

import pytest

from regulars.billing.price import sane
from regulars.model.tokens import TOKENS_MAX, Usage
from regulars.providers.openai.usage import read_usage

SHAPES = {
    # Portkey's and others' Claude: the prompt is without what the cache did, the total is with it
    "cache beside the prompt": (
        (
            '{"prompt_tokens":12,"completion_tokens":400,"total_tokens":7412,'
            '"cache_read_input_tokens":5000,"cache_creation_input_tokens":2000}'
        ),
        Usage(7012, 400, 5000, 2000),
    ),
    "cache beside the prompt, no total": (
        '{"prompt_tokens":12,"completion_tokens":400,"cache_read_input_tokens":5000}',
        Usage(5012, 400, 5000),
    ),
    "cache and thought beside": (
        (
            '{"prompt_tokens":12,"completion_tokens":400,"total_tokens":5512,'
            '"cache_read_input_tokens":5000,"completion_tokens_details":{"reasoning_tokens":100}}'
        ),
        Usage(5012, 500, 5000, reasoning_tokens=100),
    ),
    "cache told twice": (
        (
            '{"prompt_tokens":7012,"completion_tokens":400,"total_tokens":7412,'
            '"prompt_tokens_details":{"cached_tokens":5000},"cache_read_input_tokens":5000,'
            '"cache_creation_input_tokens":2000}'
        ),
        Usage(7012, 400, 5000, 2000),
    ),
    "mistral": (
        '{"prompt_tokens":1013,"completion_tokens":30,"total_tokens":1043,"num_cached_tokens":1008}',
        Usage(1013, 30, 1008),
    ),
    "mistral, singular": (
        (
            '{"prompt_tokens":1013,"completion_tokens":30,"total_tokens":1043,'
            '"prompt_token_details":{"cached_tokens":1008}}'
        ),
        Usage(1013, 30, 1008),
    ),
    "qwen": (
        (
            '{"prompt_tokens":2000,"completion_tokens":30,"total_tokens":2030,"prompt_tokens_details":'
            '{"cached_tokens":0,"cache_creation_input_tokens":1500,"cache_type":"ephemeral",'
            '"cache_creation":{"ephemeral_5m_input_tokens":1500}}}'
        ),
        Usage(2000, 30, 0, 1500),
    ),
    "litellm": (
        (
            '{"prompt_tokens":7012,"completion_tokens":400,"total_tokens":7412,"prompt_tokens_details":'
            '{"cached_tokens":5000,"cache_creation_tokens":2000,"cache_creation_token_details":'
            '{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":1500}}}'
        ),
        Usage(7012, 400, 5000, 2000, 1500),
    ),
    "sglang": (
        (
            '{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50,"reasoning_tokens":10,'
            '"prompt_tokens_details":null}'
        ),
        Usage(20, 30, reasoning_tokens=10),
    ),
    "bedrock, one hour": (
        (
            '{"inputTokens":100,"outputTokens":20,"totalTokens":920,"cacheReadInputTokens":500,'
            '"cacheWriteInputTokens":300,"cacheDetails":[{"ttl":"1h","inputTokens":200},'
            '{"ttl":"5m","inputTokens":100}]}'
        ),
        Usage(900, 20, 500, 300, 200),
    ),
    "vllm": (
        (
            '{"prompt_tokens":7,"total_tokens":12,"completion_tokens":5,'
            '"prompt_tokens_details":{"cached_tokens":null},"completion_tokens_details":null}'
        ),
        Usage(7, 5),
    ),
    "llama.cpp": (
        (
            '{"completion_tokens":5,"prompt_tokens":7,"total_tokens":12,'
            '"prompt_tokens_details":{"cached_tokens":6}}'
        ),
        Usage(7, 5, 6),
    ),
}


@pytest.mark.parametrize(("raw", "usage"), SHAPES.values(), ids=SHAPES.keys())
def test_relatives_of_the_common_dialect_are_read(raw: str, usage: Usage) -> None:
    assert read_usage(raw.encode()) == usage
    assert sane(usage) == usage


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ('{"prompt_tokens":"12","completion_tokens":"4"}', Usage(12, 4)),
        ('{"prompt_tokens":12.0,"completion_tokens":4.7}', Usage(12, 4)),
        ('{"prompt_tokens":-12,"completion_tokens":4}', Usage(0, 4)),
        (
            (
                '{"prompt_tokens":12,"completion_tokens":4,"prompt_tokens_details":'
                '{"cached_tokens":"n/a","audio_tokens":3}}'
            ),
            Usage(12, 4, audio_tokens=3),
        ),
        ('{"prompt_tokens":12,"completion_tokens":4,"prompt_tokens_details":[]}', Usage(12, 4)),
        ('{"prompt_tokens":12,"completion_tokens":4,"cached_tokens":true}', Usage(12, 4)),
        ('{"prompt_tokens":12,"completion_tokens":4,"cached_tokens":1e400}', Usage(12, 4)),
        ('{"prompt_tokens":12,"completion_tokens":{"a":{"b":{}}}}', Usage(12, 0)),
        (f'{{"prompt_tokens":{10**30},"completion_tokens":4}}', Usage(TOKENS_MAX, 4)),
    ],
    ids=["text", "fraction", "negative", "n/a", "list", "true", "1e400", "object", "huge"],
)
def test_a_figure_that_cannot_be_read_takes_no_other_along(raw: str, usage: Usage) -> None:
    assert read_usage(raw.encode()) == usage


@pytest.mark.parametrize("raw", ['{"prompt_tokens":"many"}', '"12"', "[]", "{", '{"usage":1}'])
def test_what_counts_nothing_is_unknown(raw: str) -> None:
    assert read_usage(raw.encode()) is None
