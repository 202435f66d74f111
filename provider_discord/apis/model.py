"""The base of every API model: camelCase in manifests, snake_case in Python, unknown fields ignored.

Unknown fields are ignored because the API server has already pruned or refused them; an object written under
a newer CRD must still be readable after a roll back.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of an object's spec. ``model_fields_set`` tells what the manifest gave: absent is unmanaged."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=False,
    )
