"""Images: validated before they are sent, and never sent twice.

Discord shows only a hash of an image, and not one that could be computed here, so an image cannot be compared
with the one in a manifest. Instead an annotation remembers what was sent (a digest of the input) and which hash
Discord gave for it. While both still hold, nothing is sent; if a human changes the image the hash differs, and if
the manifest changes the digest does. The annotation is part of the object, so it survives a restart, and a backup.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from provider_discord.apis.errors import InvalidField
from provider_discord.managed import meta

_DATA_URI: Final = re.compile(
    r"data:(?P<type>[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+);base64,(?P<data>[A-Za-z0-9+/=\s]*)"
)
_MAGIC: Final = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)
_TYPES: Final = tuple(media_type for media_type, _ in _MAGIC)
_ALIASES: Final = {"image/jpg": "image/jpeg"}

MAX_BYTES: Final = 10 * 1024 * 1024
"""The largest image of a guild that Discord takes (its refusal says 10240 KB)."""
MAX_ROLE_ICON_BYTES: Final = 256 * 1024
"""The largest role icon that Discord takes."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image to be sent.

    Attributes:
        digest: Of the media type and the bytes; the same image is the same digest however it was written.
        data_uri: What Discord takes ("Image Data" in its reference). Not in the repr: it is long.
    """

    digest: str
    data_uri: str

    def __repr__(self) -> str:
        return f"Image({self.digest})"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was sent for one field, and the hash that Discord gave it."""

    digest: str
    hash: str


def from_data_uri(text: str, *, field: str, max_bytes: int = MAX_BYTES) -> Image | None:
    """Return the image in a data URI; None for an empty one, which removes the image.

    Raises:
        InvalidField: It is no data URI of an image that Discord takes, is not what it says, or is too large.
    """
    text = text.strip()
    if not text:
        return None
    match = _DATA_URI.fullmatch(text)
    if match is None:
        remedy = f"give a data URI, data:image/png;base64,... ({_types()}); URLs are never fetched"
        raise InvalidField(field=field, value=_beginning(text), remedy=remedy)
    try:
        data = base64.b64decode("".join(match["data"].split()), validate=True)
    except binascii.Error as error:
        remedy = f"its base64 cannot be decoded ({error}); encode the file anew, for example with base64 -w0"
        raise InvalidField(field=field, value=_beginning(text), remedy=remedy) from None
    named = match["type"].lower()
    return _image(data, field=field, named=_ALIASES.get(named, named), max_bytes=max_bytes)


def from_bytes(data: bytes, *, field: str, max_bytes: int = MAX_BYTES) -> Image | None:
    """Return the image in a ConfigMap's or Secret's key: the file itself, or a data URI as text; empty removes it.

    Raises:
        InvalidField: as from_data_uri.
    """
    if data[:5].lower() == b"data:":
        return from_data_uri(data.decode("ascii", errors="replace"), field=field, max_bytes=max_bytes)
    if not data.strip():
        return None
    return _image(data, field=field, named=None, max_bytes=max_bytes)


def needs_sending(image: Image | None, observed_hash: str | None, remembered: Remembered | None) -> bool:
    """Tell whether the image must be sent; None is an image that shall be removed.

    Without a memory the image is sent, once: there is no way to know that Discord has it already.
    """
    if image is None:
        return bool(observed_hash)
    return not observed_hash or remembered != Remembered(image.digest, observed_hash)


def is_another(image: Image | None, remembered: Remembered | None) -> bool:
    """Tell whether the image is not the one that was sent last: then it is the manifest, or its source, that changed."""
    return (image.digest if image is not None else None) != (remembered.digest if remembered else None)


def remember(image: Image | None, observed_hash: str | None) -> Remembered | None:
    """Return what to remember after a write: the hash is the one in Discord's answer. None: nothing any more."""
    return Remembered(image.digest, observed_hash) if image is not None and observed_hash else None


def encode(memory: Mapping[str, Remembered | None]) -> str | None:
    """Return the annotation's text for the memory of each field; None when there is none, and it shall go."""
    kept = {field: [one.digest, one.hash] for field, one in sorted(memory.items()) if one is not None}
    return json.dumps(kept, separators=(",", ":")) if kept else None


def decode(text: str | None) -> dict[str, Remembered]:
    """Return the memory in an annotation. What cannot be read is forgotten: then an image is sent once more."""
    return {
        field: Remembered(*map(str, pair))
        for field, pair in meta.parse_record(text or "{}").items()
        if isinstance(pair, list) and len(pair) == 2
    }


def _image(data: bytes, *, field: str, named: str | None, max_bytes: int) -> Image:
    found = next((media_type for media_type, magic in _MAGIC if magic.match(data)), None)
    if found is None:
        raise InvalidField(
            field=field, value=_size(data), remedy=f"this is no image that Discord takes: {_types()}"
        )
    if named is not None and named != found:
        raise InvalidField(
            field=field, value=named, remedy=f"the data is {found}: write data:{found};base64,..."
        )
    if len(data) > max_bytes:
        remedy = f"too large: Discord takes at most {max_bytes // 1024} KiB here; give a smaller image"
        raise InvalidField(field=field, value=_size(data), remedy=remedy)
    digest = hashlib.sha256(found.encode() + b"\0" + data).hexdigest()
    return Image(digest=digest, data_uri=f"data:{found};base64,{base64.b64encode(data).decode('ascii')}")


def _types() -> str:
    return ", ".join(media_type.removeprefix("image/") for media_type in _TYPES)


def _beginning(text: str) -> str:
    """Return as much of a wrong value as helps: an image is not shown, and a file may be somebody's secret."""
    return text[:22] if text.startswith("data:") else f"{len(text)} characters"


def _size(data: bytes) -> str:
    return f"{len(data)} bytes"
