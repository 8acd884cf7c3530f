"""Token counts of one generation, inclusive: parents contain their parts."""

from msgspec import Struct

TOKENS_MAX = 2**30
"""No upstream can truthfully report more tokens than this for one generation.

Sums are 64 bits wide: at 75 USD a million tokens, 100,000 such answers fit, of 2**40 tokens not even
112 did, and no row after them."""


class Usage(Struct, frozen=True, gc=False):
    """Tokens of one generation, as the provider reported them or as we estimated them.

    `prompt_tokens` contains `cached_tokens`, `cache_write_tokens` and `audio_tokens`;
    `cache_write_tokens` contains `cache_write_1h_tokens`; `completion_tokens` contains
    `reasoning_tokens` and `audio_output_tokens`. Unknown is None, never 0.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    audio_output_tokens: int | None = None

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens
