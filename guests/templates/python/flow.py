"""Greets whoever writes, in their language, and remembers them for the rest of the session."""

import logging
from dataclasses import dataclass
from typing import Annotated, Literal

from flowgate import Reply, Trigger, flow, session

GREETINGS = {
    "english": ("Hello, {}!", "Welcome back, {}!"),
    "german": ("Guten Tag, {}!", "Willkommen zurück, {}!"),
    "spanish": ("¡Hola, {}!", "¡Hola de nuevo, {}!"),
}


@dataclass
class Input:
    """The payload, `data` of the request. What does not fit is refused with a 422 that names the field."""

    name: Annotated[str | None, "Who is greeted"] = None
    language: Literal["english", "german", "spanish"] = "english"


@flow
def greet(trigger: Trigger, data: Input) -> Reply:
    """Greets whoever writes."""
    visitor = {"name": data.name or "stranger", "visits": 1}
    if trigger.session_id is not None:
        visitor = session.update("visitor", {"name": "stranger", "visits": 0}, lambda known: visit(known, data.name))
    logging.info("visit %s of %s", visitor["visits"], visitor["name"])
    first, again = GREETINGS[data.language]
    return Reply((first if visitor["visits"] == 1 else again).format(visitor["name"]), visitor)


def visit(known: dict, name: str | None) -> dict:
    return {"name": name or known["name"], "visits": known["visits"] + 1}
