import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "flowgate/testing";

import greeter from "./flow.js";

test("a visitor is remembered within the session", async () => {
  const text = async (what) => (await run(greeter, what)).text;
  assert.equal(await text({ sessionId: "s1", data: { name: "Ada" } }), "Hello, Ada!");
  assert.equal(await text({ sessionId: "s1", data: { language: "german" } }), "Willkommen zurück, Ada!");
  assert.equal(await text({ sessionId: "s2" }), "Hello, stranger!");
});

test("an unknown language is refused", async () => {
  const refused = /Field 'language' is wrong: expected one of `english`, `german`, `spanish`, received "latin"/;
  await assert.rejects(run(greeter, { data: { language: "latin" } }), refused);
});
