"""The default store: one SQLite file that keeps the ledger, its reports and the keys."""

from regulars.stores.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
