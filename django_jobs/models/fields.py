"""Fields that Django does not have."""

import json
from typing import Any

from django.db import models


class IdListField(models.Field):  # type: ignore[type-arg]
    """A list of ids: `bigint[]` on PostgreSQL, JSON text elsewhere."""

    def db_type(self, connection: Any) -> str:
        """Return the column's type on `connection`."""
        return "bigint[]" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> list[int]:
        """Return the stored value as a list."""
        return json.loads(value) if isinstance(value, str) else list(value or ())

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002, ARG002 - Django's signature
        """Return `value` as the driver of `connection` takes it."""
        ids = [int(item) for item in value or ()]
        return ids if connection.vendor == "postgresql" else json.dumps(ids)
