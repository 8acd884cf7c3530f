"""The way of a row into the store: queue, group commit, and what happens when it must wait."""

from regulars.ledger.nothing import NoLedger
from regulars.ledger.writer import LedgerFullError, LedgerWriter

__all__ = ["LedgerFullError", "LedgerWriter", "NoLedger"]
