// An HTTP client in the shape of `fetch`. It is synchronous underneath, so `await` may stand before it or not.

import http from "flowgate:flow/http@0.1.0";

import { ask } from "./failure.js";
import { fields, octets } from "./output.js";
import { text } from "./utf8.js";

/** Sends a request. `init` has `method`, `headers`, `body` and `timeoutMs`. */
export function fetch(url, { method = "GET", headers = {}, body = "", timeoutMs = null } = {}) {
  const request = { method, url: String(url), headers: fields(headers), body: octets(body), timeoutMs };
  return new Response(String(url), ask("http", () => http.fetch(request)));
}

class Response {
  constructor(url, { status, headers, body }) {
    this.url = url;
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = new Map();
    for (const { name, value } of headers) {
      const before = this.headers.get(name);
      this.headers.set(name, before === undefined ? text(value) : `${before}, ${text(value)}`);
    }
    this.body = body;
  }

  bytes() {
    return this.body;
  }

  text() {
    return text(this.body);
  }

  json() {
    return JSON.parse(this.text());
  }
}
