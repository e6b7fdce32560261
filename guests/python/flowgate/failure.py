"""Why a flow gives no reply, and the way there from whatever was raised."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from componentize_py_types import Err
from wit_world.imports import flow_types as wire

T = TypeVar("T")


class Failure(Exception):
    """Ends the execution when it is raised."""

    def wire(self) -> Any:
        raise NotImplementedError


class Failed(Failure):
    """Final: the execution fails with this message."""

    def wire(self) -> Any:
        return wire.Failure_Failed(str(self))


class Retry(Failure):
    """Try the execution again, after so many seconds, or when the hook's retry policy says."""

    def __init__(self, message: str, after: float | None = None):
        super().__init__(message)
        self.after = after

    def wire(self) -> Any:
        after_ms = None if self.after is None else max(0, round(self.after * 1000))
        return wire.Failure_Retry(wire.RetryAfter(after_ms, str(self)))


class InvalidInput(Failure):
    """The caller's fault; becomes a 422 that names the field, a dotted path such as `customer.email`."""

    def __init__(self, field: str, expected: str, received: str, message: str | None = None):
        super().__init__(message or f"Field '{field}' is wrong: expected {expected}, received {received}")
        self.field, self.expected, self.received = field, expected, received

    @classmethod
    def missing(cls, field: str, expected: str) -> "InvalidInput":
        """A required field that is not there."""
        return cls(field, expected, "null", f"Required field '{field}' is missing")

    def wire(self) -> Any:
        return wire.Failure_InvalidInput(wire.InputError(self.field, self.expected, self.received, str(self)))


class HostError(Exception):
    """What the host answered instead of doing what it was asked.

    `code` is the case of the interface's error, such as `not-granted`; `detail` is what comes with it.
    """

    def __init__(self, interface: str, code: str, detail: Any = None):
        told = "" if detail is None else f": {detail}"
        super().__init__(f"{interface}: {code.replace('-', ' ')}{told}")
        self.interface, self.code, self.detail = interface, code, detail


def ask(interface: str, call: Callable[..., T], *args: Any) -> T:
    """Calls the host; the error case that it raises becomes a HostError."""
    try:
        return call(*args)
    except Err as error:
        case = type(error.value).__name__.split("_", 1)[-1]
        code = re.sub(r"(?<!^)([A-Z])", r"-\1", case).lower()
        raise HostError(interface, code, getattr(error.value, "value", None)) from None


def to_failure(error: Exception) -> Failure:
    """The failure that an exception stands for."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, HostError):
        if error.code == "no-session":
            return InvalidInput.missing("session_id", "string")
        if error.code == "rate-limited":
            return Retry(str(error), None if error.detail is None else error.detail / 1000)
        return Retry(str(error)) if error.code in ("unavailable", "conflict", "busy") else Failed(str(error))
    return Failed(f"{type(error).__name__}: {error}")
