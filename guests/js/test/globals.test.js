// What stands in for the globals that QuickJS lacks, judged by those of Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as ours from "../globals.js";
import { Promise as Settling } from "../promise.js";
import { text } from "../utf8.js";

test("text becomes bytes and bytes text, as everywhere", () => {
  for (const sample of ["", "abc", "größe", "✓ 漢字", "👩‍🚀", "a\ud800b", "x".repeat(10000)]) {
    const bytes = new TextEncoder().encode(sample);
    assert.deepEqual(new ours.TextEncoder().encode(sample), bytes);
    assert.equal(new ours.TextDecoder().decode(bytes), new TextDecoder().decode(bytes));
  }
  for (const broken of [[0xff, 0x41], [0xc3], [0xc3, 0x41], [0xe2, 0x28, 0xa1], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
    assert.ok(text(Uint8Array.from(broken)).includes("\ufffd"), String(broken));
  }
});

test("URLs are taken apart as everywhere", () => {
  const parts = ["href", "protocol", "host", "hostname", "port", "pathname", "search", "hash", "origin", "username", "password"];
  const samples = [
    ["https://Example.com"], ["http://a.b:80/x/../y?q=1&r=a%20b#h"], ["https://u:p@h.test:8443/a b?c=ü"],
    ["../z?q", "https://h.test/a/b/c"], ["/root", "https://h.test/a/b"], ["?only", "https://h.test/a?b"],
    ["//other.test/x", "https://h.test"], ["#f", "https://h.test/a?b"], ["http://[::1]:9000/"], ["https://h.test/./a/."],
  ];
  for (const sample of samples) {
    const [url, theirs] = [new ours.URL(...sample), new URL(...sample)];
    for (const part of parts) assert.equal(url[part], theirs[part], `${part} of ${sample}`);
  }
  for (const wrong of ["", "no url", "/relative", "https://"]) assert.throws(() => new ours.URL(wrong), TypeError);
});

test("forms are read and written as everywhere", () => {
  const body = "token=a%2Bb&text=94070+now%21&empty=&flag&x=1&x=2&u=%C3%BC";
  const [params, theirs] = [new ours.URLSearchParams(body), new URLSearchParams(body)];
  assert.deepEqual([...params], [...theirs]);
  assert.equal(String(params), String(theirs));
  params.set("x", "3");
  params.delete("flag");
  assert.deepEqual([params.getAll("x"), params.has("flag"), params.get("none")], [["3"], false, null]);
  const url = new ours.URL("https://h.test/?a=1");
  url.searchParams.append("b", "ü &");
  assert.equal(url.href, "https://h.test/?a=1&b=%C3%BC+%26");
});

test("chance is chance", () => {
  const numbers = Array.from({ length: 100 }, () => ours["Math.random"]());
  assert.ok(numbers.every((n) => n >= 0 && n < 1) && new Set(numbers).size === 100);
  assert.match(ours.crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notDeepEqual(ours.crypto.getRandomValues(new Uint8Array(16)), new Uint8Array(16));
});

test("promises settle in the order of everywhere", async () => {
  const story = (P, note) => {
    P.resolve(1).then(note).then(() => P.reject(new Error("x"))).catch((error) => note(error.message)).finally(() => note("f"));
    P.all([P.resolve("a"), "b", new P((resolve) => resolve("c"))]).then((all) => note(all.join("")));
    P.allSettled([P.reject(1), 2]).then((all) => note(all.map(({ status }) => status).join()));
    P.any([P.reject(1), P.resolve("any")]).then(note);
    note("sync");
    return P.race([new P(() => {}), P.resolve("r")]);
  };
  const [theirs, mine] = [[], []];
  const last = await story(Promise, (what) => theirs.push(what));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(Settling.wait(story(Settling, (what) => mine.push(what))), last);
  assert.deepEqual(mine.sort(), theirs.sort());
  assert.throws(() => Settling.wait(new Settling(() => {})), /waits for what never comes/);
  assert.throws(() => Settling.wait(Settling.reject(new Error("no"))), /no/);
});

test("a long chain needs no stack", () => {
  let chain = Settling.resolve(0);
  for (let i = 0; i < 20000; i++) chain = chain.then((n) => n + 1);
  assert.equal(Settling.wait(chain), 20000);
});
