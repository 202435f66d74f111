"""Crossplane's references: ``xRef`` names an object, ``xSelector`` finds one by labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider_discord.apis.model import ApiModel

LabelValue = Annotated[str, Field(max_length=63)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
NamespaceName = Annotated[str, Field(min_length=1, max_length=63)]


class ReferencePolicy(ApiModel):
    """How a reference is followed."""

    resolution: Annotated[
        Literal["Required", "Optional"] | None,
        Field(
            description="Required (the default): the object waits until the reference resolves. "
            "Optional: while it does not resolve, the field is treated as absent.",
        ),
    ] = None
    resolve: Annotated[
        Literal["Always", "IfNotPresent"] | None,
        Field(
            description="Accepted for compatibility with other Crossplane providers. References are "
            "followed at every reconcile and never written back into the spec.",
        ),
    ] = None


class Reference(ApiModel):
    """A reference to another managed resource by its name."""

    name: Annotated[ObjectName, Field(description="Name of the object referred to.")]
    namespace: Annotated[
        NamespaceName | None,
        Field(description="Namespace of the object referred to. Default: this object's own namespace."),
    ] = None
    policy: Annotated[ReferencePolicy | None, Field(description="How the reference is followed.")] = None


class Selector(ApiModel):
    """A reference to another managed resource by its labels."""

    match_labels: Annotated[
        dict[str, LabelValue] | None,
        Field(max_length=32, description="Labels that the object referred to must have."),
    ] = None
    match_controller_ref: Annotated[
        bool | None,
        Field(description="Consider only objects that have the same controller as this one (a composite)."),
    ] = None
    namespace: Annotated[
        NamespaceName | None,
        Field(description="Namespace to search. Default: this object's own namespace."),
    ] = None
    policy: Annotated[ReferencePolicy | None, Field(description="How the reference is followed.")] = None
