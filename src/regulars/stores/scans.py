"""The role of a store that reads every row of a question, however many: for exports."""

from collections.abc import Generator, Sequence
from typing import Any, Literal, Protocol

from regulars.stores.base import Filter

Field = Literal[
    "id",
    "created_at_us",
    "key_hash",
    "outcome",
    "status",
    "model",
    "streamed",
    "end_user",
    "session",
    "provider",
    "endpoint",
    "finish_reason",
    "native_finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost_nanousd",
    "cost_prompt_nanousd",
    "cache_saving_nanousd",
    "byok_nanousd",
    "ttft_ms",
    "duration_ms",
    "error",
    "app",
]
"""What can be read of a generation, as `model.generation` has it; tokens are None without usage,
costs where there is none, times to 15 digits."""

Page = Sequence[Sequence[Any]]
"""Some rows by their columns, in the order in which fields were asked for; never without a row."""


class Scans(Protocol):
    """Reads fields of every row of a question. Blocking; call in a thread."""

    def scan(self, where: Filter, fields: Sequence[Field]) -> Generator[Page]:
        """Yield pages, newest first, without a snapshot between them; close it when leaving early.

        Rows that come meanwhile behind the place reached are not seen: give `where` an end.

        Raises:
            StoreError: a page cannot be read; those before stay right.
        """
        ...
