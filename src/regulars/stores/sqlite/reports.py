"""The questions of `stores.base.Reports`, answered from rollups and rows."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from regulars.model.generation import Generation
from regulars.reports.schema import ReportQuery, ReportResult
from regulars.stores.base import (
    ActivityRow,
    Filter,
    GroupBy,
    SeriesPoint,
    Step,
    Sums,
    UserRow,
)
from regulars.stores.sqlite.listing import newest
from regulars.stores.sqlite.names import texts_of
from regulars.stores.sqlite.places import time_at
from regulars.stores.sqlite.query import SUMS, ranking, some_users, source
from regulars.stores.sqlite.readers import Readers
from regulars.stores.sqlite.rollups import DAY_US, HOUR_US
from regulars.stores.sqlite.rows import SELECTED, decode_all, find
from regulars.stores.sqlite.run import run_query
from regulars.stores.sqlite.slices import Table

ROWS_MAX: Final = 100_000
"""No answer is longer, whatever limit was asked for."""

TOP_MAX: Final = 1000
"""Up to so many users are ranked before they are added up."""

OTHER: Final = "Other"
"""The series' group that holds all but the top ones."""

_MINUTE_US: Final = 60_000_000
_STEP_US: Final[dict[Step, int]] = {"minute": _MINUTE_US, "hour": HOUR_US, "day": DAY_US}
_GROUP_COLUMN: Final[dict[GroupBy, str]] = {
    "user": "end_user_id",
    "model": "model_id",
    "provider": "provider_id",
    "key": "key_id",
}
_OTHER_ID: Final = -1
_NEVER: Final = 1 << 62
_FIRST_SEEN: Final = f"""
WITH asked (id, name) AS MATERIALIZED (
    SELECT end_user.id, name FROM json_each(:users) AS wanted CROSS JOIN end_user
    ON name = wanted.value AND account_id = (SELECT id FROM name WHERE text = :account)
),
late (id, row) AS MATERIALIZED (
    SELECT end_user_id, min(row) FROM tail CROSS JOIN generation USING (row) GROUP BY end_user_id
)
SELECT name, min(
    ifnull((SELECT min(row) FROM by_user WHERE user_id = asked.id), {_NEVER}),
    ifnull((SELECT row FROM late WHERE late.id = asked.id), {_NEVER})
) FROM asked
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteReports:
    """Reads through its own connections; any thread may ask."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def generation(self, generation_id: str) -> Generation | None:
        """Return the generation of this id."""
        query = f"SELECT {SELECTED} FROM generation WHERE row = ?"
        with self._readers.snapshot() as connection:
            row = find(connection, generation_id)
            found = connection.execute(query, (row,)).fetchall()
            page = decode_all(connection, found)
        return page[0] if page else None

    def generations(
        self, where: Filter, *, limit: int, before: str | None
    ) -> tuple[list[Generation], str | None]:
        """Return a page, newest first, and the id to go on `before`; an unknown one: no page."""
        limit = _bounded(limit)
        with self._readers.snapshot() as connection:
            last = None if before is None else find(connection, before)
            if before is not None and last is None:
                return [], None
            found = newest(connection, where, last=last, limit=limit + 1)
            page = decode_all(connection, found)
        more = len(page) > limit
        page = page[:limit]
        return page, page[-1].id if more and page else None

    def activity(self, where: Filter, *, by_user: bool, limit: int) -> list[ActivityRow]:
        """Return sums per UTC day, model and endpoint, newest day and greatest cost first."""
        groups = ["model_id", "provider_id", "endpoint_id"]
        if by_user:
            groups.append("end_user_id")
        table = _table(where, by_user=by_user)
        found = source(where, table, groups=groups, bucket_us=DAY_US)
        columns = ", ".join(["bucket", *groups])
        query = (
            f"SELECT {columns}, {SUMS} FROM {found.sql} GROUP BY {columns} "
            f"ORDER BY bucket DESC, sum(cost_nanousd) DESC, sum(requests) DESC, {columns} LIMIT :limit"
        )
        with self._readers.snapshot() as connection:
            rows = connection.execute(query, found.values | {"limit": _bounded(limit)}).fetchall()
            words = texts_of(connection, "name", {number for row in rows for number in row[1:4]})
            people = texts_of(connection, "end_user", {row[4] for row in rows} if by_user else ())
        start = 1 + len(groups)
        return [
            ActivityRow(
                day=_day(row[0]),
                user=people.get(row[4]) if by_user else None,
                model=words.get(row[1]),
                provider=words.get(row[2]),
                endpoint=words.get(row[3]),
                sums=Sums(*row[start:]),
            )
            for row in rows
        ]

    def users(self, where: Filter, *, limit: int) -> list[UserRow]:
        """Return the users with the greatest cost, then the most requests."""
        table, limit = _sums_table(where, by_user=True), _bounded(limit)
        ranked = ranking(where, table)
        # The plus forbids walking an index by user, which would read every row ever kept.
        order = "sum(cost_nanousd) DESC, sum(requests) DESC, end_user_id LIMIT :limit"
        query = f"SELECT end_user_id FROM {ranked.sql} GROUP BY +end_user_id ORDER BY {order}"
        with self._readers.snapshot() as connection:
            values = ranked.values | {"limit": limit}
            top = (
                [user_id for (user_id,) in connection.execute(query, values)]
                if limit <= TOP_MAX
                else []
            )
            # Few users are found first and added up afterwards; for many one pass is less work.
            found = some_users(where, table, top)
            rows = connection.execute(
                f"SELECT end_user_id, max(last_us), {SUMS} FROM {found.sql} "
                f"GROUP BY +end_user_id ORDER BY {order}",
                found.values | {"limit": limit},
            ).fetchall()
            people = texts_of(connection, "end_user", {row[0] for row in rows})
        return [
            UserRow(user=people.get(row[0]), sums=Sums(*row[2:]), last_seen_us=row[1])
            for row in rows
        ]

    def totals(self, where: Filter) -> Sums:
        """Return the sums of all that the filter selects."""
        found = source(where, _sums_table(where, by_user=False), groups=())
        with self._readers.snapshot() as connection:
            row = connection.execute(f"SELECT {SUMS} FROM {found.sql}", found.values).fetchone()
        return Sums(*row)

    def series(
        self, where: Filter, *, step: Step, group_by: GroupBy, groups_max: int
    ) -> list[SeriesPoint]:
        """Return sums per bucket and group, by time; see `slices` for where they come from."""
        column = _GROUP_COLUMN[group_by]
        table = _series_table(where, step, group_by)
        found = source(where, table, groups=[column], bucket_us=_STEP_US[step])
        top = (
            f"SELECT {column} FROM {found.sql} GROUP BY +{column} "
            f"ORDER BY sum(cost_nanousd) DESC, sum(requests) DESC, {column} LIMIT :groups"
        )
        query = (
            f"WITH top (id) AS MATERIALIZED ({top}) "
            f"SELECT bucket, iif({column} IN (SELECT id FROM top), {column}, {_OTHER_ID}) AS grp, "
            f"{SUMS} FROM {found.sql} GROUP BY bucket, grp ORDER BY bucket, grp LIMIT :limit"
        )
        values = found.values | {"groups": max(groups_max, 0), "limit": ROWS_MAX}
        with self._readers.snapshot() as connection:
            rows = connection.execute(query, values).fetchall()
            table_name = "end_user" if group_by == "user" else "name"
            texts = texts_of(connection, table_name, {row[1] for row in rows})
        texts[_OTHER_ID] = OTHER
        return [
            SeriesPoint(
                bucket_us=row[0] * _STEP_US[step], group=texts.get(row[1]), sums=Sums(*row[2:])
            )
            for row in rows
        ]

    def run(self, query: ReportQuery) -> ReportResult:
        """Answer any question of `reports.definitions`."""
        return run_query(self._readers, query)

    def first_seen(self, account: str, users: Sequence[str]) -> dict[str, int]:
        """Return when each of these users was first seen, by a seek in `by_user` for each."""
        values = {"account": account, "users": json.dumps(list(users))}
        with self._readers.snapshot() as connection:
            rows = connection.execute(_FIRST_SEEN, values).fetchall()
        return {user: time_at(row) for user, row in rows if row < _NEVER}


def _table(where: Filter, *, by_user: bool) -> Table:
    return "daily" if by_user or where.user is not None else "hourly"


def _sums_table(where: Filter, *, by_user: bool) -> Table:
    """Return the coarsest rollup for sums over the whole time."""
    table = _table(where, by_user=by_user)
    only_users = where.model is None and where.provider is None and where.key_hash is None
    return "blocks" if table == "daily" and only_users else table


def _series_table(where: Filter, step: Step, group_by: GroupBy) -> Table:
    table = _table(where, by_user=group_by == "user")
    if step == "minute" or (step == "hour" and table == "daily"):
        return "generation"
    return table


def _bounded(limit: int) -> int:
    return min(max(limit, 0), ROWS_MAX)


def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")
