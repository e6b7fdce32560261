"""Names for what takes time."""

from collections.abc import Iterator
from contextlib import contextmanager

from wit_world.imports import spans as wire


@contextmanager
def span(name: str) -> "Iterator[wire.Span]":
    """What stands in the `with` block is shown under this name; `set(key, value)` of what it gives adds a detail."""
    with wire.Span(name) as open:
        try:
            yield open
        except BaseException as error:
            open.end(str(error) or type(error).__name__)
            raise
        open.end(None)
