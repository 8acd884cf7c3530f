"""Reports over a ledger that keeps pseudonyms: asked by id or by pseudonym, they find the same."""

from dataclasses import replace

from regulars.identity.at_rest import PSEUDONYM, KeptName
from regulars.model.generation import Generation
from regulars.stores.base import (
    ActivityRow,
    Filter,
    GroupBy,
    Reports,
    SeriesPoint,
    Step,
    Sums,
    UserRow,
)


class PseudonymousReports:
    """Plays `stores.base.Reports` over another."""

    def __init__(self, reports: Reports, kept: KeptName) -> None:
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

    def _of(self, where: Filter) -> Filter:
        if where.user is None or PSEUDONYM.fullmatch(where.user):
            return where
        return replace(where, user=self._kept(where.account, where.user))
