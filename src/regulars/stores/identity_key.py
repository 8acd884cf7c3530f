"""The keys that names at rest are made with: a file beside the store, never in it.

A copy of the store alone leads back to nobody; whoever backs up the store for restoring keeps
this file elsewhere. Losing it makes new users of all. A line is a key in hex and the day it was
made; the last is the one in use, those above it are of before a rotation.
"""

import secrets
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from regulars.stores.base import StoreError
from regulars.stores.key_file import make_once, put

KEY_BYTES: Final = 32
KEYS_MAX: Final = 10


class IdentityKey(NamedTuple):
    """One key, and the day it was made where the file says so."""

    key: bytes
    made: date | None


def identity_keys(store: Path) -> tuple[IdentityKey, ...]:
    """Return the keys beside a store, the one in use last; the first is made at the first call.

    Raises:
        StoreError: the file cannot be made or read, or holds something else.
    """
    path = identity_key_path(store)
    try:
        if not path.exists():
            make_once(path, secrets.token_hex(KEY_BYTES) + "\n")
        keys = tuple(map(_read, path.read_text(encoding="ascii").splitlines()))
    except (OSError, ValueError) as exc:
        raise StoreError(
            f"the identity key {str(path)!r} cannot be used: put it back as it was"
        ) from exc
    if not 0 < len(keys) <= KEYS_MAX or any(len(one.key) != KEY_BYTES for one in keys):
        raise StoreError(
            f"the identity key {str(path)!r} is not 1 to {KEYS_MAX} keys of {KEY_BYTES} bytes in hex"
        )
    return keys


def rotate_identity_key(store: Path, today: date) -> None:
    """Put a new key into use; the others stay in the file. Raises StoreError."""
    keys = identity_keys(store)
    if len(keys) == KEYS_MAX:
        raise StoreError(
            f"the identity key {str(identity_key_path(store))!r} holds {KEYS_MAX} keys, as many as it may; "
            "drop the earlier ones first (regulars identity retire)"
        )
    _write(store, (*keys, IdentityKey(secrets.token_bytes(KEY_BYTES), today)))


def retire_identity_keys(store: Path) -> int:
    """Drop all keys but the one in use; how many those were. Raises StoreError."""
    keys = identity_keys(store)
    if len(keys) > 1:
        _write(store, keys[-1:])
    return len(keys) - 1


def identity_key_path(store: Path) -> Path:
    """Name the file beside a store's own."""
    return store.with_name(f"{store.name}.identity-key")


def _read(line: str) -> IdentityKey:
    key, _, made = line.strip().partition(" ")
    return IdentityKey(bytes.fromhex(key), date.fromisoformat(made) if made else None)


def _write(store: Path, keys: tuple[IdentityKey, ...]) -> None:
    path = identity_key_path(store)
    try:
        put(path, "".join(map(_line, keys)))
    except OSError as exc:
        raise StoreError(f"the identity key {str(path)!r} cannot be written: {exc}") from exc


def _line(key: IdentityKey) -> str:
    return f"{key.key.hex()}{'' if key.made is None else f' {key.made}'}\n"
