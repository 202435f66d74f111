"""What can go wrong with the development control plane. Every message says what to do next."""

from __future__ import annotations

from collections.abc import Sequence


class ControlPlaneError(Exception):
    """Anything that keeps the control plane from doing what was asked."""


class ToolMissing(ControlPlaneError):
    """A program is neither on this machine nor can it be built here."""


class BuildFailed(ControlPlaneError):
    """Go could not build a program; the message ends with Go's own words."""


class StartFailed(ControlPlaneError):
    """A component ended or did not become ready in time; the message ends with the tail of its log."""


class KubectlFailed(ControlPlaneError):
    """A kubectl command ended with a non-zero exit status.

    Attributes:
        returncode: kubectl's exit status.
        stdout: what it printed.
        stderr: what it complained about.
    """

    def __init__(self, arguments: Sequence[str], *, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"kubectl {' '.join(arguments)} ended with {returncode}: {stderr.strip() or stdout}")


class ApiRefused(ControlPlaneError):
    """The API server answered a request with a status of 400 or more.

    Attributes:
        status: the HTTP status.
        body: the answer as text, usually a `Status` object in JSON.
    """

    def __init__(self, request: str, *, status: int, body: str) -> None:
        self.status = status
        self.body = body
        super().__init__(f"{request} was answered {status}: {body.strip()}")
