"""A trace so light that balance is worth nothing: every user is to stay where he is."""

from collections.abc import Iterator
from typing import Final

from regulars.simulate.trace import Request

USERS: Final = 4
STEP_S: Final = 10.0
REQUESTS: Final = 360
TURNS: Final = 8
BLOCK_TOKENS: Final = 128


def few_users() -> Iterator[Request]:
    """Four users for an hour, each with a new conversation every five minutes."""
    for step in range(REQUESTS):
        user, turn = f"u{step % USERS}", step // USERS
        conversation = f"{user}/{turn // TURNS}"
        shared = [f"{user}/prompt/{n}" for n in range(4)]
        own = [f"{conversation}/{n}" for n in range(4 * (turn % TURNS + 1))]
        yield Request(
            t=step * STEP_S,
            user=user,
            session=conversation,
            input_tokens=BLOCK_TOKENS * (len(shared) + len(own)),
            output_tokens=200,
            block_tokens=BLOCK_TOKENS,
            blocks=[*shared, *own],
        )
