"""Write Flowgate flows in Python.

A flow is a function from a trigger to a reply::

    from flowgate import Trigger, flow

    @flow
    def greet(trigger: Trigger) -> str:
        return f"hello, {trigger.message}"

`python -m flowgate.build` makes a component of it, which imports of the host only what the modules name that `flow.py`
imports, so import what you use: `from flowgate import session`. What is logged by the standard `logging` module, or printed,
is in the execution's log.
"""

import sys

if sys.platform != "wasi":
    from . import _native  # noqa: F401  Outside of a component the host is a small one in memory.

from .failure import Failed, Failure, HostError, InvalidInput, Retry
from .flow import Flow, flow
from .reply import HttpReply, Reply
from .trigger import Request, Trigger

__all__ = [
    "Failed", "Failure", "Flow", "HostError", "HttpReply", "InvalidInput", "Reply", "Request", "Retry", "Trigger", "flow",
]
