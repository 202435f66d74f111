"""Images: what Discord would refuse is refused here, and an unchanged image is never sent again."""

from __future__ import annotations

import base64
from typing import Final

import pytest

from provider_discord.apis.errors import InvalidField
from provider_discord.kinds.images import (
    Image,
    Remembered,
    decode,
    encode,
    from_bytes,
    from_data_uri,
    needs_sending,
    remember,
)

PNG: Final = b"\x89PNG\r\n\x1a\n" + b"pixels"
JPEG: Final = b"\xff\xd8\xff\xe0 pixels"
GIF: Final = b"GIF89a pixels"
WEBP: Final = b"RIFF\x10\x00\x0a\x00WEBPVP8 "


def uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def image(data: bytes = PNG) -> Image:
    found = from_bytes(data, field="icon")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")],
)
def test_takes_the_file_and_its_data_uri_alike(data: bytes, media_type: str) -> None:
    from_file = from_bytes(data, field="icon")
    from_text = from_data_uri(uri(data, media_type), field="icon")
    assert from_file == from_text == from_bytes(uri(data, media_type).encode() + b"\n", field="icon")
    assert from_file is not None
    assert from_file.data_uri == uri(data, media_type)


def test_line_breaks_and_an_old_name_for_jpeg_are_no_difference() -> None:
    text = "data:image/jpg;base64," + "\n".join(
        base64.b64encode(JPEG).decode()[i : i + 4] for i in range(0, 20, 4)
    )
    found = from_data_uri(text, field="icon")
    assert found is not None
    assert found.data_uri.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_removes(text: str) -> None:
    assert from_data_uri(text, field="icon") is None
    assert from_bytes(text.encode(), field="icon") is None


@pytest.mark.parametrize(
    ("text", "says", "reason"),
    [
        ("https://example.com/icon.png", "URLs are never fetched", "a URL"),
        ("data:image/png;base64,%%%", "give a data URI", "no base64"),
        ("data:image/png;base64,abc", "cannot be decoded", "cut off"),
        ("data:image/png,abc", "give a data URI", "not base64"),
        (uri(GIF), "the data is image/gif", "not what it says"),
        (uri(b"<svg/>", "image/svg+xml"), "no image that Discord takes", "a type that Discord does not take"),
        (uri(PNG + bytes(2048)), "at most 1 KiB", "too large"),
    ],
)
def test_refuses(text: str, says: str, reason: str) -> None:
    with pytest.raises(InvalidField) as caught:
        from_data_uri(text, field="banner", max_bytes=1024)
    assert caught.value.field == "banner", reason
    assert says in caught.value.remedy, reason


def test_no_message_shows_what_was_in_a_secret() -> None:
    with pytest.raises(InvalidField) as caught:
        from_bytes(b"my-password", field="iconFrom")
    assert "my-password" not in str(caught.value)
    with pytest.raises(InvalidField) as caught:
        from_data_uri("my-password", field="icon")
    assert "my-password" not in str(caught.value)
    assert "pixels" not in repr(image())


def test_sends_once_and_again_only_when_one_side_changed() -> None:
    assert needs_sending(image(), None, None), "Discord has none"
    assert needs_sending(image(), "abc", None), "nobody knows what it has"
    memory = remember(image(), "abc")
    assert not needs_sending(image(), "abc", memory)
    assert needs_sending(image(), "def", memory), "a human changed it"
    assert needs_sending(image(), None, memory), "a human removed it"
    assert needs_sending(image(GIF), "abc", memory), "the manifest changed"


def test_removal_is_sent_only_while_there_is_something_to_remove() -> None:
    assert needs_sending(None, "abc", remember(image(), "abc"))
    assert not needs_sending(None, None, None)
    assert remember(None, None) is None


def test_a_restored_annotation_keeps_an_image_from_being_sent() -> None:
    text = encode({"icon": remember(image(), "abc"), "banner": None})
    assert not needs_sending(image(), "abc", decode(text).get("icon"))
    assert decode(text) == {"icon": Remembered(image().digest, "abc")}
    assert encode({"icon": None}) is None


@pytest.mark.parametrize("text", [None, "", "no json", "[]", '{"icon": "abc"}', '{"icon": ["a"]}'])
def test_an_annotation_that_somebody_broke_is_forgotten(text: str | None) -> None:
    assert decode(text) == {}
