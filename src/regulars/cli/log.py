"""How log lines look: `time level logger event key=value …`, one line each, on stderr."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

# What every record has; all else came as `extra` and is a field of the event.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",  # uvicorn's second copy of the message
}


class EventFormatter(logging.Formatter):
    """Writes a record as one line, whatever it holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger and message, then the fields."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {k: v for k, v in vars(record).items() if k not in _USUAL}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        event = _one_line(record.getMessage())
        parts = [at.replace("+00:00", "Z"), record.levelname.lower(), record.name, event]
        return " ".join([*parts, *(f"{key}={_value(value)}" for key, value in fields.items())])


def set_up_logging() -> None:
    """Send all logs to stderr as events."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # They announce every step they take; ours says what matters, once.
    logging.getLogger("gguf").setLevel(logging.WARNING)
    # Its warnings are a line or three for each malformed request: strangers could fill the disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _value(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(c in text for c in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)
