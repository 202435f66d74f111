"""No secret leaves through a log, whatever way it takes; and every line takes the same way."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from provider_discord.telemetry.logs import configure, redact, register_secret

# Shaped like a bot token, and nobody's.
TOKEN = "MTAyOTM4NDc1NjQ3MzgyOTEwNQ.GhIjKl.abcdefghijklmnopqrstuvwxyz0123456789AB"
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


pytestmark = pytest.mark.usefixtures("own_logging")


@dataclass(frozen=True)
class Case:
    reason: str
    text: str
    expected: str


CASES = {
    "token": Case("By its shape.", f"token {TOKEN} is bad", "token [redacted] is bad"),
    "token in quotes": Case("In a repr.", f"{{'t': '{TOKEN}'}}", "{'t': '[redacted]'}"),
    "header": Case("In a header.", f"Authorization: Bot {TOKEN}", "Authorization: Bot [redacted]"),
    "header of another shape": Case(
        "Whatever follows the scheme.", "authorization: Bearer abc123", "authorization: Bearer [redacted]"
    ),
    "headers as bytes": Case(
        "As HTTP libraries show them.",
        "[(b'Authorization', b'Bot abc.def')]",
        "[(b'Authorization', b'Bot [redacted]')]",
    ),
    "headers as dict": Case(
        "Or so.", "{'Authorization': 'Basic dXNlcg=='}", "{'Authorization': 'Basic [redacted]'}"
    ),
    "scheme": Case("Without the header's name.", f"sent Bot {TOKEN}", "sent Bot [redacted]"),
    "jwt": Case("A service account's token.", f"bearer {JWT}!", "bearer [redacted]!"),
    "webhook": Case(
        "The token in a webhook's URL.",
        "POST /api/v10/webhooks/123/aB-c_9?wait=true",
        "POST /api/v10/webhooks/123/[redacted]?wait=true",
    ),
    "prose": Case(
        "Words are no secrets.",
        "the Bot lacks MANAGE_CHANNELS; ask for authorization; webhooks/123",
        "the Bot lacks MANAGE_CHANNELS; ask for authorization; webhooks/123",
    ),
    "names": Case(
        "Nor are names and versions.",
        "channel.discord.crossplane.io/v1alpha1 1029384756473829105 v1.36.3 a.b.c",
        "channel.discord.crossplane.io/v1alpha1 1029384756473829105 v1.36.3 a.b.c",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_shapes(case: Case) -> None:
    assert redact(case.text) == case.expected, case.reason


def test_registered_values_are_blanked_whatever_their_shape() -> None:
    register_secret("  hunter2-hunter2\n")
    register_secret('quo"ted-sec\\ret')
    register_secret("short")
    register_secret("")
    assert redact("a hunter2-hunter2 b") == "a [redacted] b"
    assert redact(json.dumps({"x": 'quo"ted-sec\\ret'})) == '{"x": "[redacted]"}'
    assert redact("a short word") == "a short word"


def test_the_longer_of_two_secrets_is_blanked_whole() -> None:
    register_secret("secret-one")
    register_secret("secret-one-and-more")
    assert redact("secret-one-and-more") == "[redacted]"


def leak() -> None:
    password = TOKEN  # noqa: F841 - tracebacks with local variables would show it
    msg = f"discord said no to {TOKEN}"
    raise RuntimeError(msg)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_way_out(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure(json=as_json, debug=True)
    register_secret("registered-secret")
    log = structlog.get_logger()
    log.info(
        "field", header=f"Bot {TOKEN}", token="x", nested={"password": "y1234", "deep": {"token": "z5678"}}
    )
    event = f"event {TOKEN} registered-secret"
    log.info(event)
    log.info("object", error=RuntimeError(TOKEN), items=[TOKEN], key={TOKEN: 1})
    log.bind(bound=TOKEN).warning("bound")
    structlog.contextvars.bind_contextvars(context=TOKEN)
    try:
        leak()
    except RuntimeError:
        log.exception("exception")
        logging.getLogger("library").exception("from a library with %s", TOKEN)
    logging.getLogger("httpx").warning("HTTP Request: %s", {"Authorization": f"Bot {TOKEN}"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated {TOKEN}", DeprecationWarning, stacklevel=1)
    written = capsys.readouterr().err
    assert "RuntimeError: discord said no to" in written
    assert "DeprecationWarning: deprecated [redacted]" in written
    for secret in (TOKEN, TOKEN[:20], TOKEN[-20:], "registered-secret", "y1234", "z5678"):
        assert secret not in written


def test_exceptions_that_nobody_caught(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, debug=False)
    thread = threading.Thread(target=leak, name="worker-1")
    thread.start()
    thread.join(5)
    try:
        leak()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    written = capsys.readouterr().err
    assert written.count("uncaught exception") == 2
    assert "thread=worker-1" in written
    assert "discord said no to [redacted]" in written
    assert TOKEN not in written


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True, debug=False)
    log = structlog.get_logger()
    log.info("channel created", kind="Channel", name="grüße", attempt=1)
    log.debug("not said")
    logging.getLogger("library").warning("two\nlines")
    logging.getLogger("httpx").info("not said either")
    first, second = lines(capsys)
    assert list(first)[:3] == ["timestamp", "level", "event"]
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "channel created",
        "level": "info",
        "kind": "Channel",
        "name": "grüße",
        "attempt": 1,
    }
    assert (second["event"], second["level"], second["logger"]) == ("two\nlines", "warning", "library")


def test_text_is_key_value_with_the_traceback_below(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, debug=False)
    log = structlog.get_logger()
    log.warning("a message", name="x y", missing=None, ok=True)
    try:
        leak()
    except RuntimeError:
        log.exception("failed", name="z")
    written = capsys.readouterr().err.splitlines()
    assert written[0].startswith("timestamp=")
    assert written[0].endswith('level=warning event="a message" name="x y" ok=true')
    assert written[1].endswith("level=error event=failed name=z")
    assert written[2] == "Traceback (most recent call last):"


def test_configured_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, debug=False)
    configure(json=True, debug=True)
    logging.getLogger("library").warning("once")
    assert len(lines(capsys)) == 1


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(json=False, debug=False)

    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    structlog.get_logger().info("into the void")
