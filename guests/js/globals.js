// What QuickJS lacks and programs expect to find everywhere. The build puts in those that a program names, and only those.

import random from "wasi:random/random@0.2.12";

import { fetch } from "./http.js";
import * as log from "./log.js";
import { URL, URLSearchParams } from "./url.js";
import { bytes, text } from "./utf8.js";

const console = { ...log, log: log.info };

class TextEncoder {
  encoding = "utf-8";

  encode(string = "") {
    return bytes(String(string));
  }
}

class TextDecoder {
  encoding = "utf-8";

  decode(input = new Uint8Array()) {
    const view = input instanceof ArrayBuffer ? new Uint8Array(input) : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    return text(view[0] === 0xef && view[1] === 0xbb && view[2] === 0xbf ? view.subarray(3) : view);
  }
}

const crypto = {
  getRandomValues(array) {
    const into = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    into.set(random.getRandomBytes(into.length));
    return array;
  },
  randomUUID() {
    const raw = Uint8Array.from(random.getRandomBytes(16));
    raw[6] = (raw[6] & 0x0f) | 0x40;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    const hex = [...raw].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
};

/** The engine's own gives the same numbers in every execution, since its state is part of the component. */
function mathRandom() {
  const [a, b, c, d, e, f, g] = random.getRandomBytes(7);
  return ((((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 32 + (g & 31)) / 2 ** 53;
}

/** A copy of what JSON can say, and of dates, maps, sets and bytes. */
function structuredClone(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(structuredClone);
  if (value instanceof Date) return new Date(value);
  if (value instanceof Map) return new Map([...value].map(structuredClone));
  if (value instanceof Set) return new Set([...value].map(structuredClone));
  if (ArrayBuffer.isView(value)) return value.slice();
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structuredClone(item)]));
}

export {
  console,
  crypto,
  crypto as "globalThis.crypto",
  fetch,
  fetch as "globalThis.fetch",
  mathRandom as "Math.random",
  structuredClone,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
};
