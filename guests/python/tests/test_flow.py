import logging
import unittest
from dataclasses import dataclass, field
from typing import Annotated, Literal

from flowgate import Failed, HttpReply, Reply, Retry, Trigger, config, events, flow, flows, http, output, secrets, session
from flowgate import keyvalue, secrets_reveal, spans, testing
from flowgate.testing import Refused, memory, outputs, run
from wit_world.imports import flow_types as wire


@dataclass
class Line:
    quantity: int
    price: float = 0.0


@dataclass
class Order:
    """An order."""

    customer: Annotated[str, "Who pays"]
    lines: list[Line] = field(default_factory=list)
    channel: Literal["web", "phone"] = "web"
    note: str | None = None


class FlowTest(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def refused(self, function, failure, **members):
        with self.assertRaises(Refused) as refused:
            run(flow(function), **members)
        self.assertEqual(refused.exception.failure, failure)

    def test_a_string_is_a_text_and_another_value_is_data(self):
        self.assertEqual(run(flow(lambda t: f"hello, {t.message}"), message="Ada").text, "hello, Ada")
        self.assertEqual(run(flow(lambda t: Line(1))).data, {"quantity": 1, "price": 0.0})
        self.assertEqual(run(flow(lambda t: None)), Reply(None, None, None))
        both = run(flow(lambda t: Reply("one", [1])))
        self.assertEqual((both.text, both.data), ("one", [1]))
        raw = run(flow(lambda t: HttpReply(201, {"Location": "/1"}, "ü"))).raw
        self.assertEqual((raw.status, raw.headers[0].name, raw.body), (201, "location", "ü".encode()))

    def test_the_payload_becomes_the_type_that_the_flow_takes(self):
        def total(trigger: Trigger, order: Order) -> float:
            return sum(line.quantity * line.price for line in order.lines)

        data = {"customer": "Ada", "lines": [{"quantity": 2, "price": 1.5}]}
        self.assertEqual(run(flow(total), data=data).data, 3.0)
        missing = wire.InputError("lines.0.quantity", "integer", "null", "Required field 'lines.0.quantity' is missing")
        self.refused(total, wire.Failure_InvalidInput(missing), data={"customer": "Ada", "lines": [{}]})

    def test_a_flow_describes_itself(self):
        def order_total(trigger: Trigger, order: Order) -> Line:
            """Adds up an order."""

        self.assertEqual(
            flow(order_total).describe(),
            '{"title":"order total","description":"Adds up an order.","input":{"type":"object","properties":{"customer":'
            '{"type":"string","description":"Who pays"},"lines":{"type":"array","items":{"type":"object","properties":'
            '{"quantity":{"type":"integer"},"price":{"type":"number"}},"required":["quantity"]}},"channel":{"enum":["web",'
            '"phone"]},"note":{"type":["string","null"]}},"required":["customer"]},"output":{"type":"object","properties":'
            '{"quantity":{"type":"integer"},"price":{"type":"number"}},"required":["quantity"]}}',
        )

    def test_what_is_no_flow_is_refused_at_once(self):
        async def waits(trigger):
            pass

        for function in (waits, lambda: None, lambda trigger, data: None):
            with self.assertRaises(TypeError):
                flow(function)

    def test_an_exception_fails_with_its_message_and_its_trace_is_logged(self):
        self.refused(lambda t: {}["x"], wire.Failure_Failed("KeyError: 'x'"))
        [logged] = outputs("logged")
        self.assertEqual(logged.level, "ERROR")
        self.assertRegex(logged.message, r"(?s)Traceback.*test_flow\.py.*KeyError: 'x'$")

    def test_failures_are_what_they_are(self):
        def fails(failure):
            def handle(trigger):
                raise failure

            return handle

        self.refused(fails(Retry("busy", after=0.5)), wire.Failure_Retry(wire.RetryAfter(500, "busy")))
        self.refused(fails(Failed("no")), wire.Failure_Failed("no"))
        self.assertEqual(outputs("logged"), [])

    def test_what_the_caller_must_send_is_asked_for_by_name(self):
        def missing(field):
            return wire.Failure_InvalidInput(
                wire.InputError(field, "string", "null", f"Required field '{field}' is missing")
            )

        self.refused(lambda t: t.need_message(), missing("message"))
        self.refused(lambda t: t.need_user_id(), missing("user_id"))
        self.refused(lambda t: session.get("x"), missing("session_id"))

    def test_the_request_is_at_hand(self):
        def read(t):
            return [t.request.header("x-KIND"), t.request.header("none"), t.request.json()["a"]]

        what = testing.trigger(headers={"X-Kind": "größe"}, body='{"a":1}')
        self.assertEqual(run(flow(read), what).data, ["größe", None, 1])
        with self.assertRaisesRegex(Refused, "Field 'body' is wrong: expected JSON"):
            run(flow(lambda t: t.request.json()), testing.trigger(body="{"))

    def test_outputs_progress_events_and_logs_go_to_the_host(self):
        def talk(trigger):
            output.say("a")
            output.say("b", {"n": 1})
            output.progress("half", 50)
            events.emit("done", {"n": 2})
            logging.getLogger("x").warning("n is %s", 3)

        run(flow(talk))
        self.assertEqual([(said.text, said.data) for said in outputs("said")], [("a", None), ("b", {"n": 1})])
        self.assertEqual([(told.percent, told.message) for told in outputs("progress")], [(50, "half")])
        self.assertEqual([(told.name, told.data) for told in outputs("emitted")], [("done", {"n": 2})])
        self.assertEqual([(line.level, line.message) for line in outputs("logged")], [("WARN", "n is 3")])

    def test_a_session_remembers_messages_and_state(self):
        @flow
        def count(trigger):
            visits = session.update("visits", 0, lambda n: n + 1)
            return f"visit {visits} after {len(session.messages())}"

        self.assertEqual(run(count, session_id="s", message="hi").text, "visit 1 after 0")
        self.assertEqual(run(count, session_id="s", message="hi").text, "visit 2 after 2")
        self.assertEqual(run(count, session_id="t").text, "visit 1 after 0")

    def test_an_update_runs_again_when_another_execution_came_between_and_gives_up_at_last(self):
        def racing(rounds):
            def change(n):
                nonlocal rounds
                rounds -= 1
                if rounds >= 0:
                    session.set("n", n + 40)
                return n + 2

            return flow(lambda t: session.update("n", 0, change))

        self.assertEqual(run(racing(1), session_id="s").data, 42)
        with self.assertRaises(Refused) as refused:
            run(racing(99), session_id="s")
        self.assertIsInstance(refused.exception.failure, wire.Failure_Retry)

    def test_fetch_sends_what_it_is_given_and_reads_the_answer(self):
        memory.secrets["token"] = "t0p"
        memory.http = lambda request: (201, {"X-A": "1"}, b'{"ok":true}')

        def call(trigger):
            headers = {"Authorization": f"Bearer {secrets.placeholder('token')}"}
            answer = http.fetch("https://api.test/x", headers=headers, json={"ü": 1}, timeout=0.1)
            return [answer.ok, answer.status, answer.headers["x-a"], answer.json(), secrets_reveal.reveal("token")]

        self.assertEqual(run(flow(call)).data, [True, 201, "1", {"ok": True}, "t0p"])
        [request] = memory.requests
        self.assertEqual((request.method, request.body, request.timeout_ms), ("POST", '{"ü":1}'.encode(), 100))
        memory.http = None
        self.refused(
            lambda t: http.fetch("https://other.test/"), wire.Failure_Failed("http: not granted: https://other.test/")
        )

    def test_a_span_ends_with_what_its_block_made_of_it(self):
        def work(trigger):
            with spans.span("a") as span:
                span.set("n", "1")
            with spans.span("b"):
                raise Failed("no")

        with self.assertRaises(Refused):
            run(flow(work))
        self.assertEqual([(s.name, s.set, s.error) for s in outputs("span")], [("a", {"n": "1"}, None), ("b", {}, "no")])

    def test_a_store_keeps_what_is_the_flows_own(self):
        def keep(trigger):
            store = keyvalue.Store()
            store.set("a", {"n": 1})
            others = ["other"]

            def change(list):
                if others:
                    store.set("list", [others.pop()])
                return [*list, "mine"]

            found = store.update("list", [], change)
            counts = [store.increment("n", 2), store.increment("n")]
            return [store.get("a"), store.get("none"), counts, found, list(store.keys()), "a" in store]

        found = [{"n": 1}, None, [2, 3], ["other", "mine"], ["a", "list", "n"], True]
        self.assertEqual(run(flow(keep)).data, found)

    def test_another_flow_is_called(self):
        memory.flows["sum"] = lambda invocation: wire.Reply(None, str(sum(eval(invocation.data))), None)
        self.assertEqual(run(flow(lambda t: flows.call("sum", data=[1, 2]).data)).data, 3)
        self.refused(lambda t: flows.call("none"), wire.Failure_Failed("flows: unknown: none"))

    def test_configuration_has_a_default(self):
        memory.config["a"] = "1"
        self.assertEqual(run(flow(lambda t: [config.get("a"), config.get("b", "2"), config.all()])).data, ["1", "2", {"a": "1"}])
