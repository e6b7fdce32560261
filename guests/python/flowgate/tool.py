"""Tools: functions that a model may call."""

import inspect
import json
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from . import schema
from .failure import InvalidInput


@dataclass
class Tool:
    """A function with what a model reads of it."""

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    members: dict[str, tuple[Any, Any]]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def invoke(self, text: str) -> Any:
        """Calls the function with the JSON text that a model gave; raises what does not fit."""
        try:
            value = json.loads(text or "{}")
        except ValueError:
            raise ValueError("the arguments are no JSON") from None
        given = schema.arguments(self.members, value, (), "arguments")
        # An argument that there is none of is told to the model, which may have meant another.
        for name in value.keys() - self.members.keys():
            raise InvalidInput(name, schema.choice(list(self.members)) or "no argument", "an unknown argument")
        return self.function(**given)


def tool(function: Callable[..., Any]) -> Tool:
    """Makes a tool of a function: the schema comes from its type hints, the descriptions from its docstring::

        @tool
        def weather(city: str, days: int = 1) -> str:
            \"\"\"Tells the weather.

            Args:
                city: Where.
            \"\"\"
    """
    description, told = _documented(function)
    hints = typing.get_type_hints(function, include_extras=True)
    members = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, Any)
        hint = Annotated[hint, told[name]] if name in told else hint
        members[name] = (hint, schema.MISSING if parameter.default is inspect.Parameter.empty else None)
    required = [name for name, (_, default) in members.items() if default is schema.MISSING]
    parameters = {
        "type": "object",
        "properties": {name: schema.schema(hint) for name, (hint, _) in members.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
    return Tool(function.__name__, description, parameters, function, members)


def _documented(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring without its `Args:`, and those."""
    text, _, args = inspect.getdoc(function).partition("\nArgs:\n") if function.__doc__ else ("", "", "")
    told = {found[1]: found[2] for found in re.finditer(r"^ +(\w+): (.+)$", args, re.MULTILINE)}
    return text.strip(), told
