// A receiver of deliveries that verifies them as their receivers do.
//
// Usage: receive.mjs sample|standardwebhooks|svix. It prints its port. Each line on stdin is the secret from now on; when
// stdin ends it prints what it has seen, as JSON: {"verified": {id: times}, "refused": n}.

import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

// The libraries lie where they are installed, not beside this file.
const require = createRequire(path.join(process.cwd(), "package.json"));
const crypto = require("crypto");
const express = require("express");

const how = process.argv[2];
const seen = { verified: {}, refused: 0 };
let secret = "";

// The sample of AgenticFlow's page "Webhook Integration Guide" (read 2026-11), as it stands there.
function verifyWebhookSignature(payload, signature, secret) {
  const expectedSignature = crypto.createHmac("sha256", secret).update(payload).digest("hex");
  const providedSignature = signature.replace("sha256=", "");
  return crypto.timingSafeEqual(Buffer.from(expectedSignature), Buffer.from(providedSignature));
}

function genuine(req) {
  if (how === "sample") {
    const signature = req.headers["x-agenticflow-signature"];
    const payload = JSON.stringify(req.body);
    return verifyWebhookSignature(payload, signature, secret);
  }
  const { Webhook } = require(how);
  try {
    new Webhook(secret).verify(req.body, req.headers);
    return true;
  } catch {
    return false;
  }
}

const app = express();
app.use(how === "sample" ? express.json() : express.text({ type: "*/*" }));
app.post("/", (req, res) => {
  if (!genuine(req)) {
    seen.refused += 1;
    return res.status(401).send("Invalid signature");
  }
  const body = how === "sample" ? req.body : JSON.parse(req.body);
  for (const event of body.events ?? body.data.events ?? [body]) {
    const id = event.data.execution_id;
    seen.verified[id] = (seen.verified[id] ?? 0) + 1;
  }
  res.status(200).send("OK");
});

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  secret = line.trim();
  console.log("changed");
});
lines.on("close", () => {
  console.log(JSON.stringify(seen));
  process.exit(0);
});
