"""Who may not reach a channel, or names one that is none of its own, holds up nobody who may."""

from __future__ import annotations

from .conftest import System

EXTERNAL_NAME = "crossplane.io/external-name"


def test_an_older_object_without_the_right_to_a_channel_does_not_block_its_rightful_owner(
    system: System,
) -> None:
    hall = system.discord.create_channel({"name": "hall", "topic": "by hand"})
    guild_id = hall["guild_id"]
    system.connect()
    narrow = system.config(allowedGuilds=["111111111111111111"])
    narrow["metadata"]["name"] = f"narrow-{system.namespace}"
    system.apply(narrow)

    def claiming(name: str, config: str, topic: str) -> dict[str, object]:
        fields = {"name": "hall", "type": "text", "guildId": guild_id, "topic": topic}
        made = system.manifest("Channel", name, fields, annotations={EXTERNAL_NAME: hall["id"]})
        made["spec"]["providerConfigRef"]["name"] = config
        return made

    try:
        system.apply(claiming("older", narrow["metadata"]["name"], "theirs"))
        system.until_synced_false("Channel", "older", "is not among spec.allowedGuilds")
        system.until_younger_than(system.get("Channel", "older")["metadata"]["creationTimestamp"])
        ours = claiming("younger", system.config_name, "ours")
        system.apply(ours)
        system.until_true(ours)
        assert system.discord.channel(hall["id"])["topic"] == "ours"
        # Nor after a restart, when nobody knows yet who may do what.
        system.provider.kill()
        system.provider.start()
        system.discord.edit_channel(hall["id"], {"topic": "by hand"})
        system.until(lambda: system.discord.channel(hall["id"])["topic"] == "ours", "it to be put back")
        system.until_synced_false("Channel", "older", "is not among spec.allowedGuilds")

        # Its right comes, and goes again: who had the name by right hands it to nobody by that.
        of_config = narrow["metadata"]["name"]
        system.patch("ProviderConfig", of_config, {"spec": {"allowedGuilds": [guild_id]}})
        system.until(lambda: system.discord.channel(hall["id"])["topic"] == "theirs", "the older to own it")
        system.until_synced_false("Channel", "younger", "belongs to Channel .*/older, which is older")
        system.patch("ProviderConfig", of_config, {"spec": {"allowedGuilds": ["111111111111111111"]}})
        system.until_synced_false("Channel", "older", "is not among spec.allowedGuilds")
        system.reconcile(ours)
        system.until_synced_false("Channel", "younger", "may not use it with its ProviderConfig any more")
        assert system.discord.channel(hall["id"])["topic"] == "theirs"
    finally:
        path = f"{system.path('ProviderConfig')}/{narrow['metadata']['name']}"
        system.control_plane.request(
            "PATCH",
            path,
            body={"metadata": {"finalizers": None}},
            content_type="application/merge-patch+json",
        )
        system.control_plane.request("DELETE", path)
