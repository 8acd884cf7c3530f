"""The role of a store that keeps prompts and completions, where an operator has them kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Content:
    """What was said in one generation; `input` is JSON, or text where it is cut."""

    id: str
    created_at_us: int
    account: str
    end_user: str | None
    input: str
    input_cut: bool
    completion: str | None
    reasoning: str | None
    output_cut: bool


class Contents(Protocol):
    """Keeps prompts and completions, for a while. Blocking. Raises StoreError."""

    def keep_contents(self, contents: Sequence[Content]) -> None:
        """Keep some; one with a known id changes nothing, and whose user was erased is dropped."""
        ...

    def content(self, generation_id: str) -> Content | None:
        """Return what was said in this generation, None where it was not kept, or not any more."""
        ...

    def drop_contents(self, before_us: int) -> bool:
        """Delete some of what was said before then; True where more is left."""
        ...

    def erase_contents(self, account: str, end_user: str) -> int:
        """Delete all that one end user said and was told; return of how many generations."""
        ...
