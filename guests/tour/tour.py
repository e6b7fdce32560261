"""Shows what the SDK offers, one step for each `data.step`. `tour.ts` does the same and is held to the same answers."""

import json
import logging
import random
import uuid
from dataclasses import dataclass

from flowgate import Failed, HostError, HttpReply, InvalidInput, Reply, Retry, Trigger, flow
from flowgate import config, events, http, keyvalue, output, schema, secrets, session, spans


@dataclass
class Line:
    quantity: int
    cents: int = 0


@dataclass
class Order:
    lines: list[Line]


@flow
def tour(trigger: Trigger):
    """Shows what the SDK offers."""
    step = STEPS.get(trigger.data.get("step"))
    if step is None:
        raise InvalidInput("step", "a step of the tour", json.dumps(trigger.data.get("step")))
    return step(trigger)


def see(trigger):
    return {
        "message": trigger.message,
        "user_id": trigger.user_id,
        "session_id": trigger.session_id,
        "dialect": trigger.dialect,
        "attempt": trigger.attempt,
        "metadata": trigger.metadata,
        "method": trigger.request.method,
        "content_type": trigger.request.header("Content-Type"),
        "body": trigger.request.json()["message"],
    }


def parse(trigger):
    given = {"lines": trigger.data["lines"]} if "lines" in trigger.data else {}
    order = schema.parse(Order, given, "data")
    return {"cents": sum(line.quantity * line.cents for line in order.lines)}


def say(trigger):
    output.say("one")
    output.say("two", {"n": 2})
    output.progress("half", 50)
    return "done"


def fail(trigger):
    raise Failed("no way")


def retry(trigger):
    if trigger.attempt == 1:
        raise Retry("once more", after=0.001)
    return {"attempt": trigger.attempt}


def remember(trigger):
    before = [f"{message.role}: {message.text}" for message in session.messages()]
    visits = session.update("visits", 0, lambda n: n + 1)
    return {"before": before, "visits": visits, "said": trigger.message}


def conflict(trigger):
    session.set("once", 1, expect=0)
    try:
        session.set("once", 2, expect=0)
    except HostError as error:
        return {"code": error.code, "detail": error.detail, "kept": session.get("once")}


def keep(trigger):
    store = keyvalue.Store()
    places = store.update("places", [], lambda places: [*places, "Oslo"])
    return {"places": places, "count": store.increment("count"), "keys": sorted(store.keys()), "none": store.get("none")}


def work(trigger):
    with spans.span("work") as span:
        span.set("n", "7")
        return {"seven": session.get("none", 7)}


def fetch(trigger):
    headers = {"authorization": f"Bearer {secrets.placeholder('TOKEN')}"}
    answer = http.fetch(trigger.data["url"], headers=headers, body="größe")
    try:
        http.fetch(trigger.data["elsewhere"])
    except HostError as error:
        known = secrets.exists("TOKEN")
        return {"ok": answer.ok, "status": answer.status, "elsewhere": error.code, "known": known}


def log(trigger):
    logging.warning('a warning {"n":%s}', 1)
    print("to the console")


STEPS = {
    "trigger": see,
    "parse": parse,
    "say": say,
    "raw": lambda trigger: HttpReply(201, {"X-Tour": "größe"}, "✓"),
    "both": lambda trigger: Reply("👩‍🚀", {"ü": [None, True, 1.5]}),
    "failed": fail,
    "retry": retry,
    "uncaught": lambda trigger: json.loads("{"),
    "session": remember,
    "conflict": conflict,
    "config": lambda trigger: {"mood": config.get("mood"), "other": config.get("other", "none"), "all": config.all()},
    "log": log,
    "event": lambda trigger: events.emit("visited", {"place": "Oslo"}),
    "keep": keep,
    "span": work,
    "fetch": fetch,
    "chance": lambda trigger: {"number": random.random(), "id": str(uuid.uuid4())},
}
