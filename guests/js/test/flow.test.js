import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Failure, events, flow, fetch, flows, keyvalue, log, progress, reply, reveal, say, secrets, session, span } from "flowgate";
import { memory, outputs, reset, run, trigger } from "flowgate/testing";

beforeEach(reset);

const fails = (handle, failure, what) =>
  assert.rejects(run(flow(handle), what), (error) => (assert.deepEqual(error.failure, failure), true));

test("a string is a text, another value is data, a reply is what it says", async () => {
  assert.equal((await run(flow((t) => `hello, ${t.message}`), { message: "Ada" })).text, "hello, Ada");
  assert.deepEqual((await run(flow(() => ({ a: [1] })))).data, { a: [1] });
  const both = await run(flow(() => reply.json([1], { text: "one" })));
  assert.deepEqual([both.text, both.data], ["one", [1]]);
  const raw = await run(flow(() => reply.raw({ status: 201, headers: { Location: "/1" }, body: "ü" })));
  assert.deepEqual([raw.raw.status, raw.raw.headers[0].name, raw.raw.body], [201, "location", "ü"]);
});

test("an async handler is waited for", async () => {
  const handle = async () => {
    await null;
    return "later";
  };
  assert.equal((await run(flow(handle))).text, "later");
  await fails(async () => Promise.reject(new Error("later")), { tag: "failed", val: "later" });
});

test("an error fails with its message, and its stack is logged", async () => {
  await fails(() => null.x, { tag: "failed", val: "TypeError: Cannot read properties of null (reading 'x')" });
  assert.match(outputs("logged")[0].message, /TypeError.*\n.*flow\.test\.js/s);
  assert.equal(outputs("logged")[0].level, "error");
});

test("failures are what they are", async () => {
  const retry = { tag: "retry", val: { afterMs: 500, message: "busy" } };
  await fails(() => { throw Failure.retry("busy", { afterMs: 500 }); }, retry);
  await fails(() => { throw Failure.failed("no"); }, { tag: "failed", val: "no" });
  assert.deepEqual(outputs("logged"), []);
});

test("what the caller must send is asked for by name", async () => {
  const missing = (field) => ({
    tag: "invalid-input",
    val: { field, expected: "string", received: "null", message: `Required field '${field}' is missing` },
  });
  await fails((t) => t.needMessage(), missing("message"));
  await fails((t) => t.needUserId(), missing("user_id"));
  await fails(() => session.get("x"), missing("session_id"));
});

test("the request is at hand", async () => {
  const what = trigger({ headers: { "X-Kind": "größe" }, body: '{"a":1}' });
  const found = await run(flow((t) => [t.request.header("x-KIND"), t.request.header("none"), t.request.json().a]), what);
  assert.deepEqual(found.data, ["größe", null, 1]);
  await assert.rejects(run(flow((t) => t.request.json()), trigger({ body: "{" })), /Field 'body' is wrong: expected JSON/);
});

test("outputs, progress, events and logs go to the host", async () => {
  await run(flow(() => {
    say("a");
    say({ text: "b", data: { n: 1 } });
    progress("half", 50);
    events.emit("done", { n: 2 });
    log.info("n is", { n: 3 }, new Error("x").message);
  }));
  assert.deepEqual(outputs("said"), [{ text: "a", data: null }, { text: "b", data: { n: 1 } }]);
  assert.deepEqual(outputs("progress"), [{ percent: 50, message: "half" }]);
  assert.deepEqual(outputs("emitted"), [{ name: "done", data: { n: 2 } }]);
  assert.deepEqual(outputs("logged"), [{ level: "info", message: 'n is {"n":3} x' }]);
});

test("a session remembers messages and state", async () => {
  const count = flow(() => {
    const visits = session.update("visits", 0, (n) => n + 1);
    return `visit ${visits} after ${session.messages().length}`;
  });
  assert.equal((await run(count, { sessionId: "s", message: "hi" })).text, "visit 1 after 0");
  assert.equal((await run(count, { sessionId: "s", message: "hi" })).text, "visit 2 after 2");
  assert.equal((await run(count, { sessionId: "t" })).text, "visit 1 after 0");
});

test("an update runs again when another execution came between, and gives up at last", async () => {
  const racing = (rounds) => flow(() => session.update("n", 0, (n) => {
    if (rounds-- > 0) session.set("n", n + 40);
    return n + 2;
  }));
  assert.equal((await run(racing(1), { sessionId: "s" })).data, 42);
  await assert.rejects(run(racing(99), { sessionId: "s" }), (error) => error.failure.tag === "retry");
});

test("fetch sends what it is given and reads the answer", async () => {
  memory.secrets.token = "t0p";
  memory.http = () => ({ status: 201, headers: { "X-A": "1" }, body: '{"ok":true}' });
  const call = flow(async () => {
    const headers = { authorization: `Bearer ${secrets.placeholder("token")}` };
    const answer = await fetch("https://api.test/x", { method: "POST", headers, body: "ü", timeoutMs: 100 });
    return [answer.ok, answer.status, answer.headers.get("x-a"), await answer.json(), reveal("token")];
  });
  assert.deepEqual((await run(call)).data, [true, 201, "1", { ok: true }, "t0p"]);
  const [{ method, body, timeoutMs }] = memory.requests;
  assert.deepEqual([method, [...body], timeoutMs], ["POST", [0xc3, 0xbc], 100]);
  memory.http = null;
  await fails(() => fetch("https://other.test/"), { tag: "failed", val: "http: not granted: https://other.test/" });
});

test("a span ends with what its work made of it", async () => {
  await run(flow(async () => {
    span("a", (set) => set("n", 1));
    await span("b", async () => { throw new Error("no"); }).catch(() => {});
  }));
  assert.deepEqual(outputs("span"), [{ name: "a", set: { n: "1" }, error: null }, { name: "b", set: {}, error: "no" }]);
});

test("a store keeps what is the flow's own", async () => {
  const keep = flow(() => {
    const store = keyvalue.open();
    store.set("a", { n: 1 });
    let others = 1;
    const list = store.update("list", [], (list) => {
      if (others-- > 0) store.set("list", ["other"]);
      return [...list, "mine"];
    });
    return [store.get("a"), store.get("none"), store.increment("n", 2), store.increment("n"), list, [...store.keys()], store.has("a")];
  });
  assert.deepEqual((await run(keep)).data, [{ n: 1 }, null, 2, 3, ["other", "mine"], ["a", "list", "n"], true]);
});

test("another flow is called", async () => {
  memory.flows.sum = ({ data }) => ({ data: JSON.stringify(JSON.parse(data).reduce((a, b) => a + b)) });
  assert.equal((await run(flow(() => flows.call("sum", { data: [1, 2] }).data))).data, 3);
  await assert.rejects(run(flow(() => flows.call("none"))), /flows: unknown: none/);
});
