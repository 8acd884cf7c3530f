"""Erasing one person, everywhere this machine keeps him, with a signed receipt of it.

The tables come first, in a transaction that also tells every writer; then the files beside the
store; then what the files still hold of deleted text. Whatever dies when, asking again goes on.
"""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from regulars.ledger.scrub import count_in_files, scrub_files
from regulars.routing.keys import sticky_key
from regulars.stores.base import Erased
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.shared_routing import SqliteSharedRouting, shared_routing_path

SECRET_OF_RECEIPTS: Final = "receipts"  # noqa: S105 - the name it is stored under


def erase_user(store: SqliteStore, account: str, user: str, *, now_s: float) -> dict[str, Any]:
    """Erase a user of an account and return the receipt. Blocking, as long as he has rows.

    Raises:
        StoreError: not everything is done; asking again goes on where this stopped.
    """
    erased = store.erase(account, user, now_us=int(now_s * 1_000_000))
    placements = _forget_places(store, account, user, erased)
    lines = scrub_files(store.spool_path, account, user)
    texts = sorted({user.encode("utf-8", "surrogatepass"), msgspec.json.encode(user)[1:-1]})
    left = store.purge(texts)
    # Requests that were being accepted meanwhile have been noted by now.
    lines += scrub_files(store.spool_path, account, user)
    left += count_in_files(store.spool_path, texts)
    store.finish(erased.digest)
    receipt = {
        "erased_at": datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        "account": account,
        "subject": erased.digest.hex(),
        "anonymous": list(erased.anonymous),
        "generations": erased.rows,
        "lines_in_spool_and_journal": lines,
        "placements": placements,
        "occurrences_left": left,
        "remains": {
            "backups": "copies made before this still hold the id; delete them or erase in them",
            "providers": dict(erased.providers),
        },
    }
    return receipt | {"signature": _signature(store, receipt)}


def verify_receipt(store: SqliteStore, receipt: dict[str, Any]) -> bool:
    """Say whether this store made the receipt, and nobody changed it since."""
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return hmac.compare_digest(_signature(store, unsigned), str(receipt.get("signature", "")))


def _signature(store: SqliteStore, receipt: dict[str, Any]) -> str:
    message = msgspec.json.encode(receipt, order="sorted")
    return hmac.new(store.secret(SECRET_OF_RECEIPTS), message, sha256).hexdigest()


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
