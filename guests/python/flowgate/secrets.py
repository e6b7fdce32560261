"""Secrets that a flow can use and does not see."""

from wit_world.imports import secrets as wire

from .failure import ask


def exists(name: str) -> bool:
    """Whether the flow has a secret of this name."""
    return ask("secrets", wire.exists, name)


def placeholder(name: str) -> str:
    """What stands for the secret in the headers of an outgoing request."""
    return ask("secrets", wire.placeholder, name)
