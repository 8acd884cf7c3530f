"""A gateway with tight bounds for clients with bad manners, and how to see that it keeps in step."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fakes.provider import ScriptedProvider
from fakes.raw_client import RawClient, chat_request
from fakes.running_gateway import RunningGateway, running_gateway
from regulars.config.settings import ServerSettings

BODY_LIMIT_BYTES = 400_000
STRICT = ServerSettings(
    drain_timeout_s=5.0,
    header_timeout_s=0.6,
    body_timeout_s=0.6,
    header_limit_bytes=8192,
    body_limit_bytes=BODY_LIMIT_BYTES,
)


@contextmanager
def strict_gateway(folder: Path, provider: ScriptedProvider) -> Generator[RunningGateway]:
    """Run a gateway over one provider."""
    with running_gateway(folder, [provider], server=STRICT) as running:
        yield running


def check_in_step(gateway: RunningGateway, client: RawClient, user: str) -> None:
    """Ask again on the same connection: the answer is this one's, or the connection is over."""
    try:
        client.send(chat_request(gateway, user=user))
    except (BrokenPipeError, ConnectionResetError):
        return
    answer = client.read_answer()
    if answer is not None:
        assert answer.status == 200, answer
        row = next(r for r in gateway.rows() if r.id == answer.headers["x-generation-id"])
        assert row.end_user == user
        assert answer.json["id"] == row.id


def auth(gateway: RunningGateway) -> str:
    """The header line of its key."""
    return f"Authorization: Bearer {gateway.key}"
