"""Takes secrets out of text.

Two nets: values that were registered when they were read (a bot token, whatever it looks like), and everything
that is shaped like a credential: Discord bot tokens, JWTs (service account tokens), Authorization headers, the
token in a webhook's URL. It works on finished text, so that it also sees what came in through an exception's
message, a traceback or somebody's repr.
"""

from __future__ import annotations

import json
import re
import threading

__all__ = ["REDACTED", "redact", "register_secret"]

REDACTED = "[redacted]"

_MIN_SECRET = 8
"""A shorter value would blank half of every line, and is no secret anyway."""
_MAX_SECRETS = 1000

_SHAPES = re.compile(
    r"""
    (?P<keep>
        (?i:authorization)["']?\s*[:=,]\s*b?["']?(?:(?:Bot|Bearer|Basic)\s+)?   # a header, as text or in a repr
      | \b(?:Bot|Bearer|Basic)\s+(?=[\w.~+/=-]{20})                             # a header's value
      | /webhooks/\d+/                                                          # a webhook's URL
    )
    [\w.~+/=-]+
    | \b[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,}                                    # a bot token
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                                         # a JWT
    """,
    re.VERBOSE | re.ASCII,
)

_lock = threading.Lock()
_secrets: dict[str, None] = {}
_registered: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Blank this value wherever it turns up from now on. Very short values are not taken."""
    global _registered  # noqa: PLW0603 - logging is global, so what it must not say is, too
    value = value.strip()
    if len(value) < _MIN_SECRET:
        return
    with _lock:
        if value in _secrets:
            return
        _secrets[value] = None
        while len(_secrets) > _MAX_SECRETS:
            del _secrets[next(iter(_secrets))]
        forms = {
            form for secret in _secrets for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])
        }
        # The longest first: one secret may begin as another does.
        _registered = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def redact(text: str) -> str:
    """Return the text with every secret replaced."""
    if _registered is not None:
        text = _registered.sub(REDACTED, text)
    return _SHAPES.sub(lambda match: (match["keep"] or "") + REDACTED, text)
