"""Forum tags and the default reaction: what posts of a forum or media channel can be marked with."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from provider_discord.apis.model import ApiModel
from provider_discord.apis.scalars import Snowflake

MAX_TAGS: Final = 20

EmojiName = Annotated[str, Field(max_length=100)]


class ForumTag(ApiModel):
    """One entry of ``availableTags``; tags are known by their name."""

    name: Annotated[
        str, Field(min_length=1, max_length=20, description="The tag's text, unique in the channel.")
    ]
    moderated: Annotated[
        bool | None,
        Field(description="Only members who may manage threads can set or remove this tag. Absent: false."),
    ] = None
    emoji_id: Annotated[
        Snowflake | None,
        Field(description="Id of a custom emoji of the guild to show with the tag."),
    ] = None
    emoji_name: Annotated[
        EmojiName | None,
        Field(description="A unicode emoji to show with the tag, the character itself."),
    ] = None

    @model_validator(mode="after")
    def _one_emoji(self) -> ForumTag:
        if self.emoji_id and self.emoji_name:
            msg = "give emojiId or emojiName, not both"
            raise ValueError(msg)
        return self

    def to_discord(self) -> dict[str, Any]:
        """Return the tag as a request carries it, without its id."""
        return {
            "name": self.name,
            "moderated": bool(self.moderated),
            "emoji_id": self.emoji_id or None,
            "emoji_name": self.emoji_name or None,
        }


class ReactionEmoji(ApiModel):
    """The emoji of the reaction button on a forum's posts; empty (``{}``) means none."""

    emoji_id: Annotated[Snowflake | None, Field(description="Id of a custom emoji of the guild.")] = None
    emoji_name: Annotated[
        EmojiName | None,
        Field(description="A unicode emoji, the character itself."),
    ] = None

    @model_validator(mode="after")
    def _one_emoji(self) -> ReactionEmoji:
        if self.emoji_id and self.emoji_name:
            msg = "give emojiId or emojiName, not both"
            raise ValueError(msg)
        return self

    def to_discord(self) -> dict[str, Any] | None:
        """Return the emoji as a request carries it and as Discord stores it; None for none."""
        if not self.emoji_id and not self.emoji_name:
            return None
        return {"emoji_id": self.emoji_id or None, "emoji_name": self.emoji_name or None}


OBSERVED_TAGS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Id that Discord gave the tag."},
            "name": {"type": "string", "description": "The tag's text."},
            "moderated": {
                "type": "boolean",
                "description": "Only members who may manage threads can set it.",
            },
            "emojiId": {"type": "string", "description": "Id of its custom emoji."},
            "emojiName": {"type": "string", "description": "Its unicode emoji."},
        },
    },
}
"""How ``status.atProvider.availableTags`` looks."""
