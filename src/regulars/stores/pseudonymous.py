"""Reports over a ledger that keeps pseudonyms: asked by id or by pseudonym, they find the same."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Protocol

from regulars.identity.at_rest import PSEUDONYM, KeptName
from regulars.model.caller import ApiKey
from regulars.model.generation import Generation
from regulars.reports.schema import Condition, ReportQuery, ReportResult, Value
from regulars.stores.base import (
    ActivityRow,
    Filter,
    GroupBy,
    Keys,
    Reports,
    Scans,
    SeriesPoint,
    Step,
    Sums,
    UserRow,
)


class Asked(Reports, Scans, Keys, Protocol):
    """What questions are put to."""


class PseudonymousReports:
    """Plays the roles of `Asked` over another that knows pseudonyms only."""

    def __init__(self, reports: Asked, kept: KeptName) -> None:
        self._reports = reports
        self._kept = kept

    def generation(self, generation_id: str) -> Generation | None:
        """See `stores.base.Reports`."""
        return self._reports.generation(generation_id)

    def generations(
        self, where: Filter, *, limit: int, before: str | None
    ) -> tuple[list[Generation], str | None]:
        """See `stores.base.Reports`."""
        return self._reports.generations(self._of(where), limit=limit, before=before)

    def activity(self, where: Filter, *, by_user: bool, limit: int) -> list[ActivityRow]:
        """See `stores.base.Reports`."""
        return self._reports.activity(self._of(where), by_user=by_user, limit=limit)

    def users(self, where: Filter, *, limit: int) -> list[UserRow]:
        """See `stores.base.Reports`."""
        return self._reports.users(self._of(where), limit=limit)

    def totals(self, where: Filter) -> Sums:
        """See `stores.base.Reports`."""
        return self._reports.totals(self._of(where))

    def series(
        self, where: Filter, *, step: Step, group_by: GroupBy, groups_max: int
    ) -> list[SeriesPoint]:
        """See `stores.base.Reports`."""
        return self._reports.series(
            self._of(where), step=step, group_by=group_by, groups_max=groups_max
        )

    def run(self, query: ReportQuery) -> ReportResult:
        """See `stores.base.Reports`; `contains` looks into pseudonyms."""
        where = tuple(self._condition(query.account, one) for one in query.where)
        return self._reports.run(replace(query, where=where))

    def first_seen(self, account: str, users: Sequence[str]) -> dict[str, int]:
        """See `stores.base.Reports`; by the names that were asked for."""
        kept = {user: self._name(account, user) for user in users}
        seen = self._reports.first_seen(account, list(kept.values()))
        return {user: seen[name] for user, name in kept.items() if name in seen}

    def scan(self, where: Filter) -> Generator[list[Generation]]:
        """See `stores.base.Scans`."""
        return self._reports.scan(self._of(where))

    def find_key(self, key_hash: str) -> ApiKey | None:
        """See `stores.base.Keys`."""
        return self._reports.find_key(key_hash)

    def create_key(self, key: ApiKey) -> None:
        """See `stores.base.Keys`."""
        self._reports.create_key(key)

    def list_keys(self) -> list[ApiKey]:
        """See `stores.base.Keys`."""
        return self._reports.list_keys()

    def _of(self, where: Filter) -> Filter:
        if where.user is None:
            return where
        return replace(where, user=self._name(where.account, where.user))

    def _condition(self, account: str, asked: Condition) -> Condition:
        if asked.dimension != "user" or asked.operator == "contains":
            return asked
        values: tuple[Value, ...] = tuple(
            self._name(account, value) if isinstance(value, str) else value
            for value in asked.values
        )
        return replace(asked, values=values)

    def _name(self, account: str, user: str) -> str:
        return user if PSEUDONYM.fullmatch(user) else self._kept(account, user)
