"""What one field of ``forProvider`` is at Discord: one declaration, from which everything else follows.

A model field carries a ``DiscordField`` in its ``Annotated`` type. From it come the CRD's schema and CEL
rules (``apis``), the request bodies, the comparison and ``status.atProvider`` (``kinds``), and the reference
page. So adding a field is one line, and no two places can disagree about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class ChannelType(IntEnum):
    """Guild channel types a bot can create (Discord docs, resources/channel, "Channel Types")."""

    TEXT = 0
    VOICE = 2
    CATEGORY = 4
    ANNOUNCEMENT = 5
    STAGE = 13
    FORUM = 15
    MEDIA = 16

    @property
    def word(self) -> str:
        """Return the word that manifests and columns use, such as ``text``."""
        return self.name.lower()


class _Keep:
    """The type of ``KEEP``."""

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = _Keep()
"""An empty value needs no translation: it is sent as it stands."""

ChannelTypes = frozenset[ChannelType]
Normalise = Callable[[Any, ChannelType | None], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordField:
    """How one field of ``forProvider`` stands at Discord.

    Attributes:
        name: The key in Discord's JSON.
        types: Channel types it applies to; None where it applies to all, or the kind is no channel.
        create: May stand in the create call.
        update: May stand in the PATCH.
        read: Is shown in ``status.atProvider``.
        plain: The table alone handles it. False: code in ``kinds`` does (names, overwrites, tags, images, order,
            permissions, features, flags, colours, parent, type); the table then gives only the schema and the
            documentation.
        normalise: What Discord makes of a value, given the channel's type. Idempotent; applied to the desired
            and to the observed value before they are compared, never to what is sent.
        empty: The JSON sent when the manifest's value is empty (``""`` or ``[]``), for example None;
            ``KEEP`` sends it as it stands.
        absent: What a null or missing key at Discord means, in the manifest's terms (``topic: null`` is "").
    """

    name: str
    types: ChannelTypes | None = None
    create: bool = True
    update: bool = True
    read: bool = True
    plain: bool = True
    normalise: Normalise | None = None
    empty: Any = KEEP
    absent: Any = None


@dataclass(frozen=True, slots=True)
class ModelField:
    """One field of a parameters model with its declaration.

    Attributes:
        key: The name in manifests (camelCase).
        attribute: The attribute of the pydantic model (snake_case).
        discord: The declaration; None for fields that Discord does not know (references, ``allowDelete``).
        info: Pydantic's own record: bounds, description.
    """

    key: str
    attribute: str
    discord: DiscordField | None
    info: FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedField:
    """One field that is shown in ``status.atProvider`` and is not in ``forProvider``, or looks different there.

    Attributes:
        key: The name in ``status.atProvider`` (camelCase).
        name: The key in Discord's JSON; None: code in ``kinds`` works it out.
        schema: Its OpenAPI schema, without the description.
        description: What ``kubectl explain`` says.
    """

    key: str
    name: str | None
    schema: Mapping[str, Any]
    description: str


def fields_of(model: type[BaseModel]) -> Iterator[ModelField]:
    """Yield every field of a parameters model in its declared order."""
    for attribute, info in model.model_fields.items():
        declared = next((m for m in info.metadata if isinstance(m, DiscordField)), None)
        yield ModelField(key=info.alias or attribute, attribute=attribute, discord=declared, info=info)
