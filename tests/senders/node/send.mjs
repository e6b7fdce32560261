// Sends random bodies that a library of others has signed, and each once more with one bit flipped.
//
//     node --input-type=module - LIBRARY URL SECRET COUNT SEED < send.mjs
//
// prints how often each status came: {"library": …, "genuine": {"200": 200}, "flipped": {"401": 200}}. It is read from
// stdin because the libraries are looked for from the folder where node runs, and they are not installed beside this file.

import { readFileSync } from "node:fs";

const LIBRARIES = {
  "@octokit/webhooks-methods": async (secret) => {
    const { sign } = await import("@octokit/webhooks-methods");
    return async (body) => ({ "x-hub-signature-256": await sign(secret, body), "x-github-event": "push" });
  },
  standardwebhooks: async (secret) => {
    const { Webhook } = await import("standardwebhooks");
    const webhook = new Webhook(secret);
    return (body) => {
      const [id, now] = [`msg_${random(2 ** 32)}${random(2 ** 32)}`, new Date()];
      return {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now / 1000)),
        "webhook-signature": webhook.sign(id, now, body),
      };
    };
  },
  stripe: async (secret) => {
    const { default: Stripe } = await import("stripe");
    return (payload) => ({ "stripe-signature": Stripe.webhooks.generateTestHeaderString({ payload, secret }) });
  },
};

const [library, url, secret, count, seed] = process.argv.slice(2);

// A whole number below `end`, by mulberry32: the language has no generator that takes a seed.
let state = Number(seed);
function random(end) {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
}

const pick = (list) => list[random(list.length)];
const times = (least, most, make) => Array.from({ length: least + random(most - least + 1) }, make);

const ALPHABETS = ["abc 019", "\t\n\r\"\\/&=%+<>", "äßéñ", "日本語한국", "😀🦀𝄞", "\x01\x1f\x7f\u2028\ufeff"];
const text = (charsMax = 40) => times(1, charsMax, () => pick([...pick(ALPHABETS)])).join("");

function value(depth) {
  const scalars = [text, () => random(2 ** 53) - 2 ** 52, () => random(1e9) / 7, () => null, () => true];
  const list = () => times(0, 4, () => value(depth - 1));
  const object = () => Object.fromEntries(times(0, 4, () => [text(), value(depth - 1)]));
  return pick(depth > 0 ? [...scalars, list, object] : scalars)();
}

// A content type and a text: these libraries sign text.
const BODIES = [
  ["application/json", () => JSON.stringify(value(4), null, pick([0, 1]))],
  ["application/x-www-form-urlencoded", () => String(new URLSearchParams(times(1, 3, () => [text(), text()])))],
  ["text/plain; charset=utf-8", () => text(2000)],
  ["application/octet-stream", () => text(2000)],
];

function flipped(sent) {
  const [copy, at] = [Buffer.from(sent), random(sent.length * 8)];
  copy[at >> 3] ^= 1 << (at & 7);
  return copy;
}

const counts = { genuine: {}, flipped: {} };
async function send(name, headers, body) {
  const answer = await fetch(url, { method: "POST", headers, body });
  await answer.arrayBuffer();
  counts[name][answer.status] = (counts[name][answer.status] ?? 0) + 1;
}

const sign = await LIBRARIES[library](secret);
// What is signed with a timestamp passes only once, so no two bodies may be the same.
const bodies = new Map();
while (bodies.size < Number(count)) {
  const [kind, make] = pick(BODIES);
  bodies.set(make(), kind);
}
for (const [unsigned, kind] of bodies) {
  const headers = { "content-type": kind, ...(await sign(unsigned)) };
  const pair = [
    ["genuine", Buffer.from(unsigned)],
    ["flipped", flipped(Buffer.from(unsigned))],
  ];
  // A refused request must not spoil the genuine one that comes after it.
  for (const [name, body] of random(2) ? pair : pair.reverse()) await send(name, headers, body);
}
const { version } = JSON.parse(readFileSync(`node_modules/${library}/package.json`, "utf8"));
console.log(JSON.stringify({ library: `${library} ${version}`, ...counts }));
