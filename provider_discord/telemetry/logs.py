"""Logs: one line an event, `key=value` or JSON, to standard error.

Everything takes the same way, also what libraries say through `logging`, Python's warnings and exceptions that
nobody caught, and the last thing that happens to a line is that secrets are taken out of it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from provider_discord.telemetry.redaction import REDACTED, redact, register_secret

__all__ = ["configure", "redact", "redact_fields", "register_secret"]

_SECRET_FIELDS = frozenset({"authorization", "bot_token", "password", "secret", "token"})
_QUIET_LIBRARIES = {
    # They tell of every request, at a level at which we tell of changes.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "asyncio": logging.WARNING,
}
_write_lock = threading.Lock()


def configure(*, json: bool, debug: bool) -> None:
    """Set logging up for the whole process; may be called again.

    Args:
        json: one JSON object a line instead of `key=value`.
        debug: also what is of interest only to those who look for a fault.
    """
    level = logging.DEBUG if debug else logging.INFO
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str) if json else _render_text
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            # Not the one with local variables: they hold tokens.
            structlog.processors.format_exc_info,
            redact_fields,
            _put_first,
            renderer,
            _redact_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(level)
    for library, quiet in _QUIET_LIBRARIES.items():
        logging.getLogger(library).setLevel(quiet)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def redact_fields(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank fields that by their name hold a secret, in nested mappings as well; a structlog processor."""
    for name, value in list(fields.items()):
        if isinstance(value, MutableMapping):
            fields[name] = redact_fields(_logger, _method, dict(value))
        elif isinstance(value, str) and value and name.lower() in _SECRET_FIELDS:
            fields[name] = REDACTED
    return fields


def _put_first(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Begin every line with what every line has."""
    return {name: fields.pop(name) for name in ("timestamp", "level", "event")} | dict(fields)


_logfmt = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def _render_text(logger: Any, method: str, fields: MutableMapping[str, Any]) -> str:
    """Render `key=value`; a traceback stays readable, in lines of its own."""
    below = [str(fields.pop(name)) for name in ("exception", "stack") if fields.get(name)]
    fields = {name: value for name, value in fields.items() if value is not None}
    return "\n".join([str(_logfmt(logger, method, fields)), *below])


def _redact_line(_logger: Any, _method: str, line: Any) -> str:
    return redact(str(line))


class _StandardError:
    """Writes whole lines; standard error is looked up each time, since tests and the CLI may replace it."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, message: str) -> None:
        with _write_lock:
            try:
                sys.stderr.write(message + "\n")
                sys.stderr.flush()
            except (OSError, ValueError):
                pass  # Nobody reads it any more; that must not stop the work.

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg


class _Bridge(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.get_logger().log(
                record.levelno,
                record.getMessage(),
                logger=record.name,
                **({"exc_info": record.exc_info} if record.exc_info else {}),
            )
        except Exception:  # noqa: BLE001 - logging must not raise where somebody logs
            self.handleError(record)


def _uncaught(type_: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(type_, KeyboardInterrupt):
        sys.__excepthook__(type_, error, traceback)
        return
    structlog.get_logger().critical("uncaught exception", exc_info=(type_, error, traceback))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    error = args.exc_value or args.exc_type()
    structlog.get_logger().critical(
        "uncaught exception",
        thread=args.thread.name if args.thread else "",
        exc_info=(args.exc_type, error, args.exc_traceback),
    )
