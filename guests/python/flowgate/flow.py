"""The export that makes a component a flow."""

import inspect
import logging
import random
import sys
import traceback
import typing
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err
from wit_world.imports import logging as wire_logging

from . import schema
from .failure import Failure, HostError, to_failure
from .reply import Reply, lower, to_json
from .trigger import Trigger, lift


class Flow:
    """A function that the host calls. It can still be called as it was written."""

    def __init__(self, function: Callable[..., Any]):
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise TypeError("a flow is a plain function: calls of the host return when they are done")
        self.function = function
        self.__doc__ = function.__doc__
        hints = typing.get_type_hints(function, include_extras=True)
        self.output = hints.pop("return", None)
        parameters = list(inspect.signature(function).parameters)
        self.input = hints.get(parameters[1]) if len(parameters) == 2 else None
        if len(parameters) not in (1, 2) or len(parameters) == 2 and self.input is None:
            raise TypeError("a flow takes the trigger and, if it likes, the payload with its type")

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def handle(self, wire: Any) -> Any:
        """What the component exports."""
        # The generator's state is part of the component; without this each execution would draw the same numbers.
        if sys.platform == "wasi":
            random.seed()
        try:
            trigger = lift(wire)
            data = [] if self.input is None else [trigger.input(self.input)]
            return lower(self.function(trigger, *data))
        except Exception as error:
            if not isinstance(error, (Failure, HostError)):
                wire_logging.log(wire_logging.Level.ERROR, "flow", traceback.format_exc().rstrip())
            raise Err(to_failure(error).wire()) from None

    def describe(self) -> str:
        """What the component says of itself: what stands in the source anyway."""
        told: dict[str, Any] = {"title": self.function.__name__.replace("_", " ")}
        if self.__doc__:
            told["description"] = inspect.cleandoc(self.__doc__)
        if self.input is not None:
            told["input"] = schema.schema(self.input)
        if self.output is not None and schema.fields(self.output) is not None and self.output is not Reply:
            told["output"] = schema.schema(self.output)
        return to_json(told)


def flow(function: Callable[..., Any]) -> Flow:
    """Makes a flow of a function of the trigger, or of the trigger and the payload as a type of yours::

        @flow
        def total(trigger: Trigger, order: Order) -> Total: ...
    """
    return Flow(function)


def find(module: Any) -> Flow:
    """The one flow of a module."""
    found = [value for value in vars(module).values() if isinstance(value, Flow)]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} has {len(found)} functions with @flow; one is needed")
    return found[0]


class _Handler(logging.Handler):
    """Gives what the standard library logs to the host."""

    LEVELS = ((logging.CRITICAL, "CRITICAL"), (logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))

    def emit(self, record: logging.LogRecord) -> None:
        name = next((name for level, name in self.LEVELS if record.levelno >= level), "DEBUG")
        wire_logging.log(wire_logging.Level[name], record.name, self.format(record))


logging.basicConfig(handlers=[_Handler()], level=logging.INFO, format="%(message)s")
