"""Where the answers of commands come from: the store itself, or a running gateway by its URL.

Both understand the parameters of the HTTP API, so a command asks one question in one way.
"""

from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import msgspec
import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import FAILED, MISCONFIGURED, failed, load_local_or_exit

if TYPE_CHECKING:
    import httpx2

    from regulars.exports.export import Source

KEY_VARIABLE: Final = "REGULARS_MANAGEMENT_KEY"
TIMEOUT_S: Final = 60.0
ERROR_BYTES_MAX: Final = 65_536

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Ask a running gateway, like http://127.0.0.1:8787; absent: the store itself.",
    ),
]
KeyEnvOption = Annotated[
    str, typer.Option(metavar="NAME", help="The variable that holds the management key for --url.")
]
Params = Mapping[str, str]


def json_text(value: Any) -> str:
    """Write JSON, decimals as the exact numbers they are."""
    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()


class RefusedError(Exception):
    """The question was refused; the message is for the person who asked."""

    code: int = FAILED


class MistakenError(RefusedError):
    """The command asks for what cannot be answered, wherever it is asked."""

    code = MISCONFIGURED


class Answers(Protocol):
    """What commands ask. Raises RefusedError, StoreError."""

    def generation(self, generation_id: str) -> bytes:
        """Return one generation as a JSON object."""
        ...

    def generations(self, params: Params) -> bytes:
        """Return a page of them, as `/generations` does."""
        ...

    def export(self, params: Params) -> Generator[bytes]:
        """Yield the file that `/activity/export` answers with."""
        ...

    def count(self, params: Params) -> int | None:
        """Return how many requests the same filters select, None where that is not known."""
        ...


@contextmanager
def answers(url: str | None, key_env: str, config: Path | None) -> Generator[Answers]:
    """Open the store or a connection; exit with the reason where a question fails."""
    try:
        if url is None:
            with opened_store(config) as store:
                from regulars.app import reports_of

                yield StoreAnswers(reports_of(load_local_or_exit(config), store))
        else:
            with _client(url, key_env) as client:
                yield GatewayAnswers(client)
    except RefusedError as error:
        raise failed(str(error), error.code) from error


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of a report, money as exact decimals; `cut` says what is missing, None if nothing."""

    rows: list[dict[str, Any]]
    cut: str | None


def report(asked: Answers, params: Params) -> Report:
    """Ask for a report."""
    from decimal import Decimal

    from regulars.exports.jsonl_file import NOTE

    decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    with closing(asked.export({**params, "format": "jsonl"})) as pieces:
        lines: list[Any] = decode.decode_lines(b"".join(pieces))  # pyright: ignore[reportAssignmentType] - one a line
    remarks = [each for line in lines for each in line.pop(NOTE, {}).get("remarks", ())]
    # Without rows a line only says so.
    return Report([line for line in lines if line], "; ".join(remarks) or None)


class StoreAnswers:
    """Answers from the store, read as the gateway would."""

    def __init__(self, store: "Source") -> None:
        self._store = store

    def generation(self, generation_id: str) -> bytes:
        """See `Answers`."""
        from regulars.wire.views import generation_view

        row = self._store.generation(generation_id)
        if row is None:
            raise RefusedError(f"generation {generation_id[:80]!r} is not known")
        return msgspec.json.encode(generation_view(row))

    def generations(self, params: Params) -> bytes:
        """See `Answers`."""
        from regulars.http import query
        from regulars.wire.views import generation_view

        with _refusals():
            where = self._export_query(_without(params, "limit", "cursor")).where
            rows, cursor = self._store.generations(
                where, limit=query.limit(params), before=query.text(params, "cursor")
            )
        page = [generation_view(row) for row in rows]
        return msgspec.json.encode({"data": page, "next_cursor": cursor})

    def export(self, params: Params) -> Generator[bytes]:
        """See `Answers`."""
        from regulars.exports.export import export_pieces

        with _refusals():
            yield from export_pieces(self._store, self._export_query(params))

    def count(self, params: Params) -> int | None:
        """See `Answers`."""
        with _refusals():
            return self._store.totals(self._export_query(params).where).requests

    def _export_query(self, params: Params) -> Any:
        from regulars.app import ACCOUNT
        from regulars.http.export import read_export
        from regulars.model.catalog import Catalog

        return read_export(params, account=ACCOUNT, catalog=Catalog({}), now=datetime.now(UTC))


class GatewayAnswers:
    """Answers from a running gateway."""

    def __init__(self, client: "httpx2.Client") -> None:
        self._client = client

    def generation(self, generation_id: str) -> bytes:
        """See `Answers`."""
        body = self._get("/generation", {"id": generation_id})
        return bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["data"])

    def generations(self, params: Params) -> bytes:
        """See `Answers`."""
        return self._get("/generations", params)

    def export(self, params: Params) -> Generator[bytes]:
        """See `Answers`."""
        with (
            _network_errors(),
            self._client.stream("GET", "/activity/export", params=dict(params)) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                answer.read()
                raise _refused(answer.status_code, answer.content)
            yield from answer.iter_bytes()

    def count(self, params: Params) -> int | None:
        """See `Answers`; asking would be a report of its own."""
        del params
        return None

    def _get(self, path: str, params: Params) -> bytes:
        with _network_errors():
            answer = self._client.get(path, params=dict(params))
        if answer.status_code != HTTPStatus.OK:
            raise _refused(answer.status_code, answer.content)
        return answer.content


@contextmanager
def _client(url: str, key_env: str) -> "Generator[httpx2.Client]":
    import httpx2

    from regulars.config.sources import environment

    key = environment().get(key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise MistakenError(
            f"the variable {key_env!r} holds no key; export {key_env}=sk-reg-… (a management key), "
            "or name another variable with --key-env"
        )
    if not url.startswith(("http://", "https://")):
        raise MistakenError(f"--url: {url[:80]!r} is no address; write http://127.0.0.1:8787")
    base = url.rstrip("/").removesuffix("/api/v1") + "/api/v1"
    with (
        _network_errors(),
        httpx2.Client(
            base_url=base, headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        ) as client,
    ):
        yield client


@contextmanager
def _network_errors() -> Generator[None]:
    import httpx2

    try:
        yield
    except httpx2.RemoteProtocolError as exc:
        raise RefusedError("the gateway cut the answer off before its end; try again") from exc
    except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
        raise RefusedError(f"the gateway cannot be asked: {exc}; check --url") from exc


@contextmanager
def _refusals() -> Generator[None]:
    from regulars.exports.missing import ExportError
    from regulars.model.errors import CallerError
    from regulars.reports.schema import ReportError

    try:
        yield
    except (CallerError, ReportError) as exc:
        raise MistakenError(str(exc)) from exc
    except ExportError as exc:
        raise RefusedError(str(exc)) from exc


def _refused(status: int, body: bytes) -> RefusedError:
    error = MistakenError if status == HTTPStatus.BAD_REQUEST else RefusedError
    try:
        return error(str(msgspec.json.decode(body[:ERROR_BYTES_MAX])["error"]["message"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        return RefusedError(f"the gateway answered with status {status} and no reason; check --url")


def _without(params: Params, *names: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}
