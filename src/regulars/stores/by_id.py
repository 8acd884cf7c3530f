"""Reports asked with ids as requests send them, over a store that keeps other names for them.

Pseudonyms may be asked for too, and stay in answers; encrypted ids are shown as they were sent.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

from msgspec.structs import replace as with_fields

from regulars.identity.at_rest import PSEUDONYM, AtRest, as_it_is
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError
from regulars.model.generation import Generation
from regulars.reports.schema import Cell, Condition, ReportQuery, ReportResult, Value
from regulars.stores.base import (
    COMMAND_LINE,
    ActivityRow,
    Filter,
    GroupBy,
    KeyAction,
    KeyChange,
    Keys,
    People,
    Reports,
    SeriesPoint,
    Step,
    Sums,
    UserRow,
)
from regulars.stores.names import name_of
from regulars.stores.registry import Registered, Registry
from regulars.stores.scans import Field, Page, Scans


class Asked(Reports, Scans, Keys, People, Registry, Protocol):
    """What questions are put to."""


class ReportsById:
    """Plays `Reports`, `Scans`, `Keys` and `Registry` over a store, however that keeps names."""

    def __init__(self, store: Asked, at_rest: AtRest) -> None:
        self._store = store
        self._at_rest = at_rest

    def without_ids(self) -> "ReportsById":
        """Return the same, but its answers have names as they are kept."""
        return ReportsById(self._store, replace(self._at_rest, shown=as_it_is))

    def generation(self, generation_id: str) -> Generation | None:
        """See `stores.base.Reports`."""
        row = self._store.generation(generation_id)
        return None if row is None else self._shown(row)

    def generations(
        self, where: Filter, *, limit: int, before: str | None
    ) -> tuple[list[Generation], str | None]:
        """See `stores.base.Reports`."""
        rows, cursor = self._store.generations(self._of(where), limit=limit, before=before)
        return [self._shown(row) for row in rows], cursor

    def activity(self, where: Filter, *, by_user: bool, limit: int) -> list[ActivityRow]:
        """See `stores.base.Reports`."""
        rows = self._store.activity(self._of(where), by_user=by_user, limit=limit)
        return [replace(row, user=self._id(where.account, row.user)) for row in rows]

    def users(self, where: Filter, *, limit: int) -> list[UserRow]:
        """See `stores.base.Reports`."""
        rows = self._store.users(self._of(where), limit=limit)
        return [replace(row, user=self._id(where.account, row.user)) for row in rows]

    def totals(self, where: Filter) -> Sums:
        """See `stores.base.Reports`."""
        return self._store.totals(self._of(where))

    def series(
        self, where: Filter, *, step: Step, group_by: GroupBy, groups_max: int
    ) -> list[SeriesPoint]:
        """See `stores.base.Reports`."""
        points = self._store.series(
            self._of(where), step=step, group_by=group_by, groups_max=groups_max
        )
        if group_by != "user":
            return points
        return [replace(one, group=self._id(where.account, one.group)) for one in points]

    def run(self, query: ReportQuery) -> ReportResult:
        """See `stores.base.Reports`; `contains` looks into names as they are kept."""
        where = tuple(self._condition(query.account, one) for one in query.where)
        result = self._store.run(replace(query, where=where))
        if "user" not in query.dimensions:
            return result
        at = result.columns.index("user")
        rows = tuple(
            (*row[:at], self._cell(query.account, row[at]), *row[at + 1 :]) for row in result.rows
        )
        return replace(result, rows=rows)

    def first_seen(self, account: str, users: Sequence[str]) -> dict[str, int]:
        """See `stores.base.Reports`; by the names that were asked for."""
        kept = {user: self._name(account, user) for user in users}
        seen = self._store.first_seen(account, list(kept.values()))
        return {user: seen[name] for user, name in kept.items() if name in seen}

    def scan(self, where: Filter, fields: Sequence[Field]) -> Generator[Page]:
        """See `stores.scans.Scans`."""
        with closing(self._store.scan(self._of(where), fields)) as pages:
            for page in pages:
                yield [
                    [self._id(where.account, name) for name in column]
                    if field == "end_user"
                    else column
                    for field, column in zip(fields, page, strict=True)
                ]

    def find_key(self, key_hash: str) -> ApiKey | None:
        """See `stores.base.Keys`."""
        return self._store.find_key(key_hash)

    def create_key(self, key: ApiKey, *, by: str = COMMAND_LINE) -> None:
        """See `stores.base.Keys`."""
        self._store.create_key(key, by=by)

    def list_keys(self) -> list[ApiKey]:
        """See `stores.base.Keys`."""
        return self._store.list_keys()

    def change_key(
        self, key_hash: str, change: Callable[[ApiKey], ApiKey], *, by: str = COMMAND_LINE
    ) -> ApiKey | None:
        """See `stores.base.Keys`."""
        return self._store.change_key(key_hash, change, by=by)

    def delete_key(self, key_hash: str, *, by: str = COMMAND_LINE) -> bool:
        """See `stores.base.Keys`."""
        return self._store.delete_key(key_hash, by=by)

    def note_use(self, key: ApiKey | None, action: KeyAction, details: Mapping[str, Any]) -> None:
        """See `stores.base.Keys`."""
        self._store.note_use(key, action, details)

    def key_changes(self, limit: int, *, key_hash: str | None = None) -> list[KeyChange]:
        """See `stores.base.Keys`."""
        return self._store.key_changes(limit, key_hash=key_hash)

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """See `stores.registry.Registry`."""
        found = self._store.registered(account, limit=limit)
        return [self._said(account, one, self._at_rest.shown(account, one.name)) for one in found]

    def register(self, account: str, user: Registered) -> None:
        """See `stores.registry.Registry`."""
        display = user.display_name
        if display is not None:
            display = self._at_rest.kept(account, display)
            if PSEUDONYM.fullmatch(display):
                raise CallerError(
                    "display_name: names of people cannot be kept where ids are pseudonyms "
                    "([identity] at_rest)"
                )
        name = self._name(account, user.name)
        self._store.register(account, replace(user, name=name, display_name=display))

    def display_names(self, account: str, names: Sequence[str]) -> dict[str, str]:
        """See `stores.registry.Registry`; by the names that were asked for."""
        kept = {name: self._name(account, name) for name in names}
        found = self._store.display_names(account, list(kept.values()))
        shown = self._at_rest.shown
        return {name: shown(account, found[own]) for name, own in kept.items() if own in found}

    def find_registered(self, account: str, name: str) -> Registered | None:
        """See `stores.registry.Registry`."""
        found = self._store.find_registered(account, self._name(account, name))
        return None if found is None else self._said(account, found, name)

    def _said(self, account: str, user: Registered, name: str) -> Registered:
        display = user.display_name
        shown = None if display is None else self._at_rest.shown(account, display)
        return replace(user, name=name, display_name=shown)

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
        return name_of(self._store, self._at_rest, account, user)

    def _shown(self, row: Generation) -> Generation:
        user = self._id(row.account, row.end_user)
        return row if user is row.end_user else with_fields(row, end_user=user)

    def _cell(self, account: str, cell: Cell) -> Cell:
        return self._id(account, cell) if isinstance(cell, str) else cell

    def _id(self, account: str, name: str | None) -> str | None:
        return None if name is None else self._at_rest.shown(account, name)
