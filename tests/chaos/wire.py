"""Just enough of HTTP/1.1 for a proxy: a request's head and body, and an answer's pieces as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

HEAD_END = b"\r\n\r\n"
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers, names in lower case."""

    line: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """Read one."""
        line, *rest = raw.decode("latin-1").split("\r\n")
        pairs = (one.partition(":") for one in rest if one)
        return cls(line, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))

    def get(self, name: str) -> str:
        """Return a header, "" if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def with_line(self, line: str) -> Head:
        """Return it with another first line."""
        return replace(self, line=line)

    def encode(self) -> bytes:
        """Return its bytes."""
        lines = [self.line, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @property
    def method(self) -> str:
        """Of a request."""
        return self.line.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """Of a request: path and query."""
        return self.line.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.line.split(" ")[1])


async def read_request(reader: asyncio.StreamReader) -> tuple[Head, bytes] | None:
    """Read a request with its body; None at the end of the connection."""
    try:
        raw = await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError:
        return None
    head = Head.parse(raw)
    return head, await reader.readexactly(int(head.get("content-length") or 0))


async def pieces(reader: asyncio.StreamReader, head: Head, *, method: str) -> AsyncIterator[bytes]:
    """Yield an answer's body as it arrives, framing included."""
    if method == "HEAD" or head.status in {204, 304}:
        return
    if head.get("transfer-encoding").lower() == "chunked":
        while True:
            size_line = await reader.readline()
            size = int(size_line.split(b";")[0].strip() or b"0", 16)
            data = await reader.readexactly(size + 2)
            yield size_line + data
            if size == 0:
                return
    left = int(head.get("content-length") or 0)
    while left:
        data = await reader.read(min(left, _PIECE))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)  # noqa: EM101 - what was read, no message
        left -= len(data)
        yield data


def answer(status: int, body: bytes, *, content_type: str = "application/json", **headers: str) -> bytes:
    """Return a whole answer of our own."""
    all_headers = {"content-type": content_type, "content-length": str(len(body)), **headers}
    return Head(f"HTTP/1.1 {status} Chaos", tuple(all_headers.items())).encode() + body
