"""Sends random bodies that a library of others has signed, and each once more with one bit flipped.

    python send.py LIBRARY URL SECRET COUNT SEED

prints how often each status came: {"library": …, "genuine": {"200": 200}, "flipped": {"401": 200}}.
"""

import collections
import datetime
import http.client
import importlib.metadata
import json
import random
import sys
import time
import urllib.parse


def slack(secret, body):
    from slack_sdk.signature import SignatureVerifier

    at = str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=at, body=body)
    return {"x-slack-request-timestamp": at, "x-slack-signature": signature}


def standardwebhooks(secret, body):
    from standardwebhooks import Webhook

    now = datetime.datetime.now(tz=datetime.timezone.utc)
    message = f"msg_{random.getrandbits(96):024x}"
    signature = Webhook(secret).sign(message, now, body)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def stripe(secret, body):
    from stripe import WebhookSignature

    return {"stripe-signature": WebhookSignature.generate_signature_header(body, secret)}


LIBRARIES = {"slack_sdk": slack, "standardwebhooks": standardwebhooks, "stripe": stripe}

ALPHABETS = ["abc 019", "\t\n\r\"\\/&=%+<>", "äßéñ", "日本語한국", "😀🦀𝄞", "\x01\x1f\x7f\u2028\ufeff"]


def text(chars_max=40):
    return "".join(random.choice(random.choice(ALPHABETS)) for _ in range(random.randint(1, chars_max)))


def value(depth):
    scalars = [text, lambda: random.randint(-(2**63), 2**63), lambda: random.gauss(0, 1e9), lambda: None, lambda: True]
    inner = [
        lambda: [value(depth - 1) for _ in range(random.randint(0, 4))],
        lambda: {text(): value(depth - 1) for _ in range(random.randint(0, 4))},
    ]
    return random.choice(scalars + inner * (depth > 0))()


def body():
    """A content type and a text: these libraries sign text."""
    kinds = {
        "application/json": lambda: json.dumps(
            value(4), ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1])
        ),
        "application/x-www-form-urlencoded": lambda: urllib.parse.urlencode({text(): text() for _ in range(3)}),
        "text/plain; charset=utf-8": lambda: text(2000),
        "application/octet-stream": lambda: text(2000),
    }
    kind = random.choice(list(kinds))
    return kind, kinds[kind]()


def flipped(sent):
    at = random.randrange(len(sent) * 8)
    return sent[: at // 8] + bytes([sent[at // 8] ^ 1 << at % 8]) + sent[at // 8 + 1 :]


def main(library, url, secret, count, seed):
    random.seed(int(seed))
    url = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    counts = {"genuine": collections.Counter(), "flipped": collections.Counter()}

    def send(name, headers, sent):
        connection.request("POST", url.path, sent, headers)
        answer = connection.getresponse()
        answer.read()
        counts[name][str(answer.status)] += 1

    # What is signed with a timestamp passes only once, so no two bodies may be the same.
    bodies = {}
    while len(bodies) < int(count):
        kind, unsigned = body()
        bodies[unsigned] = kind
    for unsigned, kind in bodies.items():
        headers = {"content-type": kind, **LIBRARIES[library](secret, unsigned)}
        pair = [("genuine", unsigned.encode()), ("flipped", flipped(unsigned.encode()))]
        # A refused request must not spoil the genuine one that comes after it.
        for name, sent in random.sample(pair, 2):
            send(name, headers, sent)
    print(json.dumps({"library": f"{library} {importlib.metadata.version(library)}", **counts}))


main(*sys.argv[1:])
