// Shows what the SDK offers, one step for each `data.step`. `tour.py` does the same and is held to the same answers.

import { Failure, HostError, config, events, fetch, flow, keyvalue, log, progress, reply, s, say, secrets, session, span } from "flowgate";
import type { Trigger } from "flowgate";

/** What the flow is. */
export const description = {
  title: "tour",
  description: "Shows what the SDK offers.",
  input: s.object({ step: s.string() }),
};

const Order = s.object({ lines: s.array(s.object({ quantity: s.integer(), cents: s.integer().optional() })) });

const steps: Record<string, (trigger: Trigger) => unknown> = {
  trigger: ({ message, userId, sessionId, dialect, attempt, metadata, request }) => ({
    message,
    user_id: userId,
    session_id: sessionId,
    dialect,
    attempt,
    metadata,
    method: request.method,
    content_type: request.header("Content-Type"),
    body: request.json().message,
  }),
  parse: ({ data }) => {
    const { lines } = s.check(Order, { lines: data.lines });
    return { cents: lines.reduce((sum, { quantity, cents = 0 }) => sum + quantity * cents, 0) };
  },
  say: () => {
    say("one");
    say({ text: "two", data: { n: 2 } });
    progress("half", 50);
    return "done";
  },
  raw: () => reply.raw({ status: 201, headers: { "X-Tour": "größe" }, body: "✓" }),
  both: () => reply.json({ ü: [null, true, 1.5] }, { text: "👩‍🚀" }),
  failed: () => {
    throw Failure.failed("no way");
  },
  retry: ({ attempt }) => {
    if (attempt === 1) throw Failure.retry("once more", { afterMs: 1 });
    return { attempt };
  },
  uncaught: () => JSON.parse("{"),
  session: async ({ message }) => {
    const before = session.messages().map(({ role, text }) => `${role}: ${text}`);
    await null;
    const visits = session.update("visits", 0, (n) => n + 1);
    return { before, visits, said: message };
  },
  conflict: () => {
    session.set("once", 1, { expect: 0 });
    try {
      session.set("once", 2, { expect: 0 });
    } catch (error) {
      if (error instanceof HostError) return { code: error.code, detail: error.detail, kept: session.get("once") };
    }
  },
  config: () => ({ mood: config.get("mood"), other: config.get("other", "none"), all: config.all() }),
  log: () => {
    log.warn("a warning", { n: 1 });
    console.log("to the console");
  },
  event: () => events.emit("visited", { place: "Oslo" }),
  keep: () => {
    const store = keyvalue.open();
    const places = store.update<string[]>("places", [], (places) => [...places, "Oslo"]);
    return { places, count: store.increment("count"), keys: [...store.keys()].sort(), none: store.get("none") ?? null };
  },
  span: async () => {
    const seven = await span("work", async (set) => {
      set("n", 7);
      return session.get("none") ?? 7;
    });
    return { seven };
  },
  fetch: async ({ data }) => {
    const headers = { authorization: `Bearer ${secrets.placeholder("TOKEN")}` };
    const { ok, status } = await fetch(data.url, { method: "POST", headers, body: "größe" });
    try {
      await fetch(data.elsewhere);
    } catch (error) {
      if (error instanceof HostError) return { ok, status, elsewhere: error.code, known: secrets.exists("TOKEN") };
    }
  },
  chance: () => ({ number: Math.random(), id: crypto.randomUUID() }),
};

export default flow(async (trigger) => {
  const step = steps[trigger.data.step];
  if (!step) throw Failure.invalid("step", "a step of the tour", JSON.stringify(trigger.data.step ?? null));
  return await step(trigger);
});
