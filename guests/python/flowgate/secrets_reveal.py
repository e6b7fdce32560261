"""Secrets in clear, for what cannot be done by a placeholder, such as signing. Needs a grant of its own."""

from wit_world.imports import secrets_reveal as wire

from .failure import ask


def reveal(name: str) -> str:
    """The secret itself."""
    return ask("secrets", wire.reveal, name)
