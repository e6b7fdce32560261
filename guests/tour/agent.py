"""A language model with two tools. `agent.ts` and the example `support_agent` come to the same transcript."""

import dataclasses
import json
from typing import Literal

from flowgate import Reply, Trigger, config, events, flow
from flowgate.agent import Agent
from flowgate.llm import Message, Part, ToolCall
from flowgate.tool import tool

ORDERS = {"48213": "lamp, 49.90 EUR, delivered on 2026-11-18"}


@tool
def find_order(number: str) -> str:
    """Tells what is known of an order.

    Args:
        number: The order's number, five digits.
    """
    if number not in ORDERS:
        raise LookupError(f"there is no order {number}")
    return ORDERS[number]


@tool
def open_case(order: str, wish: Literal["replacement", "refund", "other"]) -> str:
    """Opens a case for the shop's staff and returns its number."""
    events.emit("case.opened", {"case": f"CASE-{order}", "order": order, "wish": wish})
    return f"CASE-{order}"


@flow
def support_agent(trigger: Trigger) -> Reply:
    """Answers customers of a shop for lamps and chairs."""
    support = Agent(
        config.get("model", "mock"),
        system="You answer customers of a shop for lamps and chairs.",
        tools=[find_order, open_case],
        max_steps=6,
        max_tokens=400,
        forward=True,
    )
    answer = support.run(trigger)
    return Reply(answer.text, {"steps": answer.steps, "transcript": [shown(message) for message in answer.messages]})


def shown(message: Message) -> dict:
    content = [message.content] if isinstance(message.content, str) else message.content
    return {"role": message.role, "parts": [part(one) for one in content]}


def part(part: Part) -> dict:
    if isinstance(part, str):
        return {"text": part}
    if isinstance(part, ToolCall):
        return {"tool_call": {"id": part.id, "name": part.name, "arguments": json.loads(part.arguments)}}
    return {"tool_result": dataclasses.asdict(part)}
