"""Erasing one person, everywhere this machine keeps him, with a signed receipt of it.

The tables come first, in a transaction that also tells every writer; then the files beside the
store; then what the files still hold of deleted text. Whatever dies when, asking again goes on.
"""

import hmac
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from regulars.ledger.scrub import count_in_files, scrub_files
from regulars.routing.keys import sticky_key
from regulars.stores.backup_list import known_backups
from regulars.stores.base import COMMAND_LINE, Erased
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.raw import count_in
from regulars.stores.sqlite.shared_routing import SqliteSharedRouting, shared_routing_path
from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path

SECRET_OF_RECEIPTS: Final = "receipts"  # noqa: S105 - the name it is stored under


def erase_user(
    store: SqliteStore,
    account: str,
    names: tuple[str, ...],
    *,
    now_s: float,
    by: str = COMMAND_LINE,
) -> dict[str, Any]:
    """Erase a user of an account, under all his names, and return the receipt.

    Blocking, as long as he has rows. The receipt's subject is the first name.

    Raises:
        StoreError: not everything is done; asking again goes on where this stopped.
    """
    now_us = int(now_s * 1_000_000)
    called = store.display_names(account, names).values()
    parts = [store.erase(account, name, now_us=now_us, by=by) for name in names]
    # What is written after the erasure was noted is dropped by the store: this finds all the rest.
    contents = sum(store.erase_contents(account, name) for name in names)
    placements = sum(map(partial(_forget_places, store, account), names, parts))
    lines = sum(scrub_files(store.spool_path, account, name) for name in names)
    texts = sorted({text for name in (*names, *called) for text in _written(name)})
    SqliteSightings(sightings_path(store.path)).forget(account, names)
    left = store.purge(texts)
    # Requests that were being accepted meanwhile have been noted by now.
    lines += sum(scrub_files(store.spool_path, account, name) for name in names)
    left += count_in_files(store.spool_path, texts)
    left += _left_in_sightings(store, texts)
    for part in parts:
        store.finish(part.digest)
    providers: Counter[str] = Counter()
    for part in parts:
        providers.update(dict(part.providers))
    receipt = {
        "erased_at": datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        "account": account,
        "subject": parts[0].digest.hex(),
        "anonymous": [name for part in parts for name in part.anonymous],
        "generations": sum(part.rows for part in parts),
        "contents": contents,
        "lines_in_spool_and_journal": lines,
        "placements": placements,
        "occurrences_left": left,
        "remains": {
            "backups": _backups(store, texts),
            "other_copies": "copies made by other means before this still hold the id",
            "providers": dict(providers),
        },
    }
    return receipt | {"signature": _signature(store, receipt)}


def _written(name: str) -> tuple[bytes, bytes]:
    return name.encode("utf-8", "surrogatepass"), msgspec.json.encode(name)[1:-1]


def verify_receipt(store: SqliteStore, receipt: dict[str, Any]) -> bool:
    """Say whether this store made the receipt, and nobody changed it since."""
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return hmac.compare_digest(_signature(store, unsigned), str(receipt.get("signature", "")))


def _signature(store: SqliteStore, receipt: dict[str, Any]) -> str:
    message = msgspec.json.encode(receipt, order="sorted")
    return hmac.new(store.secret(SECRET_OF_RECEIPTS), message, sha256).hexdigest()


def _left_in_sightings(store: SqliteStore, texts: Sequence[bytes]) -> int:
    path = sightings_path(store.path)
    left = store.count_in(path, texts)
    if left:
        SqliteSightings(path).compact()
        left = store.count_in(path, texts)
    return left


def _backups(store: SqliteStore, texts: Sequence[bytes]) -> list[dict[str, Any]]:
    """Tell of each backup that is still there how often the id stands in it."""
    return [
        {"file": one.file, "made_at": one.made_at, "occurrences": count_in(Path(one.file), texts)}
        for one in known_backups(store.path)
    ]


def _forget_places(store: SqliteStore, account: str, user: str, erased: Erased) -> int:
    """Delete what workers told each other of him; their own memory fades within the hour."""
    path = shared_routing_path(store.path)
    if not path.exists():
        return 0
    name = user.encode("utf-8", "surrogatepass")
    keys = [sticky_key(account, model, "user", name) for model in erased.models]
    keys += [
        sticky_key(account, model, "session", session.encode("utf-8", "surrogatepass"))
        for model, session in erased.sessions
    ]
    shared = SqliteSharedRouting(path, node="erase")
    try:
        return shared.forget(keys)
    finally:
        shared.close()
