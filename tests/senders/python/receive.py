"""A receiver of deliveries that verifies them as their receivers do.

Usage: receive.py sample|standardwebhooks|svix. It prints its port. Each line on stdin is the secret from now on; when stdin
ends it prints what it has seen, as JSON: {"verified": {id: times}, "refused": n}.
"""

import hashlib
import hmac
import json
import logging
import sys
import threading

import standardwebhooks
import svix
from flask import Flask, request
from werkzeug.serving import make_server

app = Flask(__name__)
how, secret, verified, refused = sys.argv[1], "", {}, 0
lock = threading.Lock()


# The sample of AgenticFlow's page "Webhook Integration Guide" (read 2026-11), as it stands there.
def verify_webhook_signature(payload, signature, secret):
    expected_signature = hmac.new(secret.encode("utf-8"), payload.encode("utf-8"), hashlib.sha256).hexdigest()
    provided_signature = signature.replace("sha256=", "")
    return hmac.compare_digest(expected_signature, provided_signature)


def genuine():
    if how == "sample":
        signature = request.headers.get("X-AgenticFlow-Signature")
        return verify_webhook_signature(request.get_data(as_text=True), signature, secret)
    library = standardwebhooks.Webhook if how == "standardwebhooks" else svix.Webhook
    try:
        library(secret).verify(request.get_data(), headers())
        return True
    except Exception:
        return False


def headers():
    return {name.lower(): value for name, value in request.headers.items()}


@app.route("/", methods=["POST"])
def receive():
    global refused
    with lock:
        if not genuine():
            refused += 1
            return "Invalid signature", 401
        body = request.get_json()
        for event in body.get("events") or body["data"].get("events") or [body]:
            name = event["data"]["execution_id"]
            verified[name] = verified.get(name, 0) + 1
        return "OK", 200


logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
for line in sys.stdin:
    secret = line.strip()
    print("changed", flush=True)
print(json.dumps({"verified": verified, "refused": refused}), flush=True)
