"""What comes back from the API server: a whole answer, or a watch that goes on and on.

A watch is read with `read1`, which returns what has arrived (chunked or not), so that an event is known when
it is sent; and it can be closed while another thread waits in it, by shutting the socket down under it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Self

import urllib3
from kubernetes.client.exceptions import ApiException

from provider_discord.kube.access import Event, EventType
from provider_discord.kube.errors import MalformedResponse, Unreachable, error_from_status
from provider_discord.kube.resource import Obj

__all__ = ["TRANSPORT_ERRORS", "HttpWatch", "decode", "read_body", "unreachable"]

TRANSPORT_ERRORS = (urllib3.exceptions.HTTPError, ApiException, OSError)
"""What `ApiClient.call_api` and reading its answer raise when there is no answer, or no end of it."""

_READ_SIZE = 65_536
_LINE_LIMIT = 64 * 1024 * 1024
"""No object is larger than a few MiB (etcd's limit); whoever sends so much without an end sends no events."""


class HttpWatch:
    """A running watch over HTTP; see `access.Watch`."""

    def __init__(self, response: urllib3.HTTPResponse, *, request: str) -> None:
        self._response = response
        self._request = request
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        try:
            for line in self._lines():
                if self._closed.is_set():
                    return
                yield self._event(line)
        except TRANSPORT_ERRORS as error:
            if self._closed.is_set():
                return
            raise unreachable(error, self._request) from error
        except (ValueError, AttributeError):
            # `close` takes the TLS layer away under the reader.
            if not self._closed.is_set():
                raise
        finally:
            self._response.close()
            self._response.release_conn()

    def close(self) -> None:
        """End the watch, from any thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        # Closing the response would wait for the reader, who waits for the server. Errors: it ended by itself.
        with contextlib.suppress(ValueError, OSError):
            self._response.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lines(self) -> Iterator[bytes]:
        """Yield complete lines. A line that the end of the stream cut off is dropped: it was never told."""
        buffer = bytearray()
        while not self._closed.is_set():
            data = self._response.read1(_READ_SIZE, decode_content=False)
            if not data:
                return
            searched = len(buffer)
            buffer += data
            start = 0
            while (end := buffer.find(b"\n", max(start, searched))) != -1:
                line = bytes(buffer[start:end])
                start = end + 1
                if line.strip():
                    yield line
            del buffer[:start]
            if len(buffer) > _LINE_LIMIT:
                msg = f"{self._request}: an event of more than {_LINE_LIMIT} bytes"
                raise MalformedResponse(msg)

    def _event(self, line: bytes) -> Event:
        answer = decode(line, self._request)
        type_, obj = answer.get("type"), answer.get("object")
        if not isinstance(obj, dict):
            msg = f"{self._request}: an event without an object"
            raise MalformedResponse(msg)
        if type_ == "ERROR":
            raise error_from_status(obj, request=self._request)
        try:
            return Event(EventType(str(type_)), obj)
        except ValueError:
            msg = f"{self._request}: an event of the unknown type {type_!r}"
            raise MalformedResponse(msg) from None


def read_body(response: urllib3.HTTPResponse, request: str) -> bytes:
    """Read an answer to its end and give the connection back. Raises `Unreachable`."""
    try:
        return bytes(response.data or b"")
    except TRANSPORT_ERRORS as error:
        raise unreachable(error, request) from error
    finally:
        response.release_conn()


def decode(data: bytes, request: str) -> Obj:
    """Decode a JSON object. Raises `MalformedResponse`."""
    try:
        answer = json.loads(data)
    except ValueError as error:
        start = data[:80].decode("utf-8", errors="replace")
        msg = f"{request}: the answer is no JSON, it begins with {start!r}"
        raise MalformedResponse(msg) from error
    if not isinstance(answer, dict):
        msg = f"{request}: the answer is no JSON object"
        raise MalformedResponse(msg)
    return answer


def unreachable(error: BaseException, request: str) -> Unreachable:
    """Say in one line that there was no answer, the cause last."""
    text = " ".join(str(error).split()) or type(error).__name__
    return Unreachable(f"{request}: the API server gave no answer: {text}")
