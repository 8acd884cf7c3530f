"""Making one person of two names: rows and sums of one go to the other, in one transaction."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from typing import Final

from regulars.stores.sqlite.fold import FOLDED
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.rollups import keys_of, upsert_head, upsert_tail
from regulars.stores.sqlite.schema import ROLLED_COLUMNS
from regulars.stores.sqlite.stamp import changed

_FIND: Final = "SELECT id FROM end_user WHERE account_id = ? AND name = ?"
_ROWS: Final = (
    "UPDATE generation SET end_user_id = ?2 WHERE row IN (SELECT row FROM by_user WHERE "
    "user_id = ?1 UNION ALL SELECT row FROM tail CROSS JOIN generation USING (row) "
    "WHERE end_user_id = ?1)"
)
_BILLED: Final = "UPDATE billed SET end_user_id = ?2 WHERE end_user_id = ?1"
_LISTED: Final = "UPDATE by_user SET user_id = ?2 WHERE user_id = ?1"
_FORGET: Final = "DELETE FROM end_user WHERE id = ?1"
_REGISTERED: Final = (
    (
        "INSERT OR IGNORE INTO external_user "
        "(account, name, is_active, created_us, updated_us, display_name) "
        "SELECT account, ?3, is_active, created_us, updated_us, display_name FROM external_user "
        "WHERE account = ?1 AND name = ?2 AND name <> ?3"
    ),
    "DELETE FROM external_user WHERE account = ?1 AND name = ?2 AND name <> ?3",
)
_KEYS: Final = (
    "UPDATE api_key SET users = json_set(users, '$.user', ?3) "
    "WHERE account = ?1 AND users ->> '$.user' = ?2"
)
_SAID: Final = "UPDATE content SET end_user = ?3 WHERE account = ?1 AND end_user = ?2"
_ALIAS: Final = (
    "INSERT INTO alias (account, name, person) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (account, name) DO UPDATE SET person = excluded.person"
)


def _moved(table: str) -> tuple[str, str]:
    # The second key column is the time: given as a range, so that the tree's order helps.
    where = f"WHERE account_id = ?3 AND {keys_of(table)[1]} >= 0 AND end_user_id = ?1"
    columns = ", ".join(
        "?2" if column == "end_user_id" else column
        for column in (*keys_of(table), *ROLLED_COLUMNS, "last_us")
    )
    return (
        f"{upsert_head(table)} SELECT {columns} FROM {table} {where} {upsert_tail(table)}",
        f"DELETE FROM {table} {where}",
    )


_SUMS: Final = tuple(
    statement for table in FOLDED if "end_user_id" in keys_of(table) for statement in _moved(table)
)


def rename(connection: sqlite3.Connection, account: str, name: str, into: str) -> bool:
    """Give a person another name, inside the open transaction; merge him with who has it.

    False where nobody has the name. The connection does not check foreign keys, for which all rows
    would be read. Times of rows and sums stay; as long as he has rows.
    """
    for statement in (*_REGISTERED, _KEYS, _SAID):
        connection.execute(statement, (account, name, into))
    found = connection.execute("SELECT id FROM name WHERE text = ?", (account,)).fetchone()
    old = None if found is None else connection.execute(_FIND, (*found, name)).fetchone()
    if found is None or old is None or name == into:
        return False
    new = connection.execute(_FIND, (*found, into)).fetchone()
    if new is None:
        connection.execute("UPDATE end_user SET name = ? WHERE id = ?", (into, *old))
    else:
        _merge(connection, old[0], new[0], found[0])
    changed(connection)
    return True


def alias(connection: sqlite3.Connection, account: str, name: str, person: str) -> None:
    """Make a name another name of a person, for rows that are there and all to come.

    Names of names stay so: whoever was `name` before is `person` too.
    """
    rename(connection, account, name, person)
    connection.execute(
        "UPDATE alias SET person = ?3 WHERE account = ?1 AND person = ?2", (account, name, person)
    )
    connection.execute(_ALIAS, (account, name, person))
    changed(connection)


def _merge(connection: sqlite3.Connection, old: int, new: int, account_id: int) -> None:
    assert NOBODY_ID not in (old, new), "nobody has no name"
    # The tail is read by _ROWS before by_user changes; a row is in one of the two.
    for statement in (_ROWS, _LISTED, _BILLED):
        connection.execute(statement, (old, new))
    for statement in _SUMS:
        connection.execute(statement, (old, new, account_id))
    connection.execute(_FORGET, (old,))
