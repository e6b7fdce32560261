"""What the flow keeps for all its executions, whatever session they belong to."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from wit_world.imports import keyvalue as wire, keyvalue_atomics as atomics

from .failure import HostError, ask
from .reply import to_json

T = TypeVar("T")

_UPDATE_ATTEMPTS = 16


class Store:
    """A store of the flow's own. Values are JSON."""

    def __init__(self, name: str = ""):
        self.bucket = ask("keyvalue", wire.open, name)

    def get(self, key: str, default: Any = None) -> Any:
        """Reads a value."""
        value = ask("keyvalue", self.bucket.get, key)
        return default if value is None else json.loads(value)

    def set(self, key: str, value: Any) -> None:
        """Writes a value."""
        ask("keyvalue", self.bucket.set, key, to_json(value).encode())

    def delete(self, key: str) -> None:
        """Removes a key."""
        ask("keyvalue", self.bucket.delete, key)

    def __contains__(self, key: str) -> bool:
        return ask("keyvalue", self.bucket.exists, key)

    def keys(self) -> Iterator[str]:
        """All keys."""
        cursor = None
        while True:
            page = ask("keyvalue", self.bucket.list_keys, cursor)
            yield from page.keys
            cursor = page.cursor
            if cursor is None:
                return

    def increment(self, key: str, by: int = 1) -> int:
        """Adds to a number and returns the sum."""
        return ask("keyvalue", atomics.increment, self.bucket, key, by)

    def update(self, key: str, initial: T, change: Callable[[T], T | None]) -> T:
        """Writes what `change` makes of the value, again if another execution came between, and returns it.

        `change` returns the new value, or None when it has changed the one that it was given.
        """
        for attempt in range(1, _UPDATE_ATTEMPTS + 1):
            cas = ask("keyvalue", atomics.Cas.new, self.bucket, key)
            current = ask("keyvalue", cas.current)
            value = copy.deepcopy(initial) if current is None else json.loads(current)
            changed = change(value)
            value = value if changed is None else changed
            try:
                ask("keyvalue", atomics.swap, cas, to_json(value).encode())
                break
            except HostError as error:
                if error.code != "cas-failed" or attempt == _UPDATE_ATTEMPTS:
                    raise
        return value
