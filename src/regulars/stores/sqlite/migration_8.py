"""Migration 8: a user's rows in `by_user` know how long each took, so that people are ranked by it.

Only `generation` knew, where a user's rows lie all over the file: looking one up costs a dozen times
what it costs to read on in `by_user`. Times are whole microseconds, as the gateway measures them.
"""

from typing import Final

_CREATED: Final = """
CREATE TABLE by_user_8 (
    user_id INTEGER NOT NULL,
    row INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ttft_us INTEGER,
    own_completion_tokens INTEGER,
    PRIMARY KEY (user_id, row)
) STRICT, WITHOUT ROWID
"""
# In the order of the tree that is there: nothing is sorted, however many rows there are.
_FILLED: Final = """
INSERT INTO by_user_8 (user_id, row, duration_us, ttft_us, own_completion_tokens)
SELECT by_user.user_id, by_user.row, CAST(duration_ms * 1000 + 0.5 AS INTEGER),
    CAST(ttft_ms * 1000 + 0.5 AS INTEGER), completion_tokens
FROM by_user CROSS JOIN generation USING (row) ORDER BY by_user.user_id, by_user.row
"""

MIGRATION: Final = (
    _CREATED,
    _FILLED,
    "DROP TABLE by_user",
    "ALTER TABLE by_user_8 RENAME TO by_user",
)
