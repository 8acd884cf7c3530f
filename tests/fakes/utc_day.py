"""Today, for tests of reports by day."""

from datetime import UTC, datetime, timedelta
from time import sleep

MIDNIGHT_MARGIN_S = 20.0


def today() -> str:
    """The UTC day, far enough from its end for a test to be over before."""
    now = datetime.now(UTC)
    margin = timedelta(seconds=MIDNIGHT_MARGIN_S)
    if (now + margin).date() != now.date():
        sleep(MIDNIGHT_MARGIN_S)
    return datetime.now(UTC).date().isoformat()
