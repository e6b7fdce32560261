// `URL` and `URLSearchParams`, as far as flows need them: absolute URLs with an authority, and references against such a
// base. What the URL standard says beside that (other schemes' quirks, IDNA) is not done.

import { bytes, text } from "./utf8.js";

const PARTS = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?([^?#]*)(\?[^#]*)?(#.*)?$/i;
const PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443" };

export class URL {
  constructor(url, base) {
    const found = PARTS.exec(String(url).trim()) ?? (base === undefined ? null : PARTS.exec(joined(String(url), new URL(base))));
    if (!found || found[3] === "") throw new TypeError(`Invalid URL: ${url}`);
    const [, protocol, credentials = "", hostname, port = "", path, search = "", hash = ""] = found;
    this.protocol = protocol.toLowerCase();
    [this.username, this.password = ""] = credentials.split(/:(.*)/s);
    this.hostname = hostname.toLowerCase();
    this.port = port === PORTS[this.protocol] ? "" : port;
    this.pathname = flat(encoded(path)) || "/";
    this.searchParams = new URLSearchParams(search);
    this.hash = hash === "#" ? "" : hash;
    // Kept as it was written until a parameter is changed.
    this.written = [this.searchParams.toString(), search === "?" ? "" : encoded(search)];
  }

  static canParse(url, base) {
    try {
      return Boolean(new URL(url, base));
    } catch {
      return false;
    }
  }

  get host() {
    return this.port === "" ? this.hostname : `${this.hostname}:${this.port}`;
  }

  get origin() {
    return `${this.protocol}//${this.host}`;
  }

  get search() {
    const now = this.searchParams.toString();
    return now === this.written[0] ? this.written[1] : now && `?${now}`;
  }

  get href() {
    const credentials = this.username || this.password ? `${this.username}${this.password && `:${this.password}`}@` : "";
    return `${this.protocol}//${credentials}${this.host}${this.pathname}${this.search}${this.hash}`;
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }
}

export class URLSearchParams {
  #pairs = [];

  constructor(init = "") {
    if (typeof init !== "string") {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
      return;
    }
    for (const part of init.replace(/^\?/, "").split("&").filter(Boolean)) {
      const [name, value = ""] = part.split(/=(.*)/s);
      this.#pairs.push([decoded(name), decoded(value)]);
    }
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
  }

  delete(name) {
    this.#pairs = this.#pairs.filter(([key]) => key !== name);
  }

  get(name) {
    return this.#pairs.find(([key]) => key === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
  }

  has(name) {
    return this.#pairs.some(([key]) => key === name);
  }

  set(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === name);
    if (at < 0) return this.append(name, value);
    this.#pairs = this.#pairs.filter(([key], i) => key !== name || i === at);
    this.#pairs[at][1] = String(value);
  }

  get size() {
    return this.#pairs.length;
  }

  forEach(each) {
    for (const [name, value] of this) each(value, name, this);
  }

  keys() {
    return this.#pairs.map(([name]) => name).values();
  }

  values() {
    return this.#pairs.map(([, value]) => value).values();
  }

  entries() {
    return this[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.#pairs.map((pair) => [...pair]).values();
  }

  toString() {
    return this.#pairs.map((pair) => pair.map(form).join("=")).join("&");
  }
}

function joined(reference, base) {
  if (reference.startsWith("//")) return base.protocol + reference;
  if (reference.startsWith("/")) return base.origin + reference;
  if (reference.startsWith("?")) return base.origin + base.pathname + reference;
  if (reference === "" || reference.startsWith("#")) return base.origin + base.pathname + base.search + reference;
  return base.origin + base.pathname.replace(/[^/]*$/, "") + reference;
}

/** Without `.` and `..`. */
function flat(path) {
  const segments = [];
  const parts = path.split("/");
  parts.forEach((part, at) => {
    const last = at === parts.length - 1;
    if (part === ".." && segments.length > 1) segments.pop();
    if (part === "." || part === "..") last && segments.push("");
    else segments.push(part);
  });
  return segments.join("/");
}

/** What may not stand in a URL as it is, percent-encoded. */
function encoded(text) {
  return text.replace(/[^\x21\x23-\x3b\x3d\x3f-\x5f\x61-\x7a\x7c\x7e]/gu, percent);
}

/** As in `application/x-www-form-urlencoded`. */
function form(text) {
  return text.replace(/[^A-Za-z0-9*._-]/gu, (char) => (char === " " ? "+" : percent(char)));
}

function percent(char) {
  return [...bytes(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

function decoded(form) {
  const raw = bytes(form.replaceAll("+", " "));
  const out = [];
  for (let at = 0; at < raw.length; at++) {
    const hex = raw[at] === 0x25 ? String.fromCharCode(raw[at + 1], raw[at + 2]) : "";
    if (/^[0-9a-f]{2}$/i.test(hex)) out.push(parseInt(hex, 16)), (at += 2);
    else out.push(raw[at]);
  }
  return text(out);
}
