"""What API calls take: typed, and strict about names."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class Body(serializers.Serializer[None]):
    """The form of a body. A field that nobody asked for is refused: it may be a misspelled one."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            message = f"There is no such field here; there are {', '.join(self.fields) or 'none'}."
            raise serializers.ValidationError({name: [message] for name in unknown})
        return super().to_internal_value(data)


class ReasonBody(Body):
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")
