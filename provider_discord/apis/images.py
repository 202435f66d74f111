"""Images taken from a ConfigMap or Secret, because an applied manifest cannot hold more than 256 KiB."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from provider_discord.apis.model import ApiModel
from provider_discord.apis.references import ObjectName

KeyName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


class KeyReference(ApiModel):
    """One key of a ConfigMap or Secret in the object's own namespace."""

    name: Annotated[
        ObjectName, Field(description="Name of the ConfigMap or Secret, in this object's namespace.")
    ]
    key: Annotated[KeyName, Field(description="Key that holds the image: raw bytes, or a data URI.")]


class ImageSource(ApiModel):
    """Where to read an image from; exactly one of the two."""

    config_map_key_ref: Annotated[
        KeyReference | None,
        Field(description="Read the image from a ConfigMap: binaryData as raw bytes, data as a data URI."),
    ] = None
    secret_key_ref: Annotated[
        KeyReference | None,
        Field(description="Read the image from a Secret: raw bytes or a data URI."),
    ] = None
