"""The flow's configuration, which its operator sets."""

from wit_world.imports import config as wire

from .failure import ask


def get(key: str, default: str | None = None) -> str | None:
    """A value, or `default` when it is not set."""
    value = ask("config", wire.get, key)
    return default if value is None else value


def all() -> dict[str, str]:
    """All values."""
    return dict(ask("config", wire.get_all))
