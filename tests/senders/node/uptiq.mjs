// A sender as UPTIQ's documentation advises it.
//
//     node uptiq.mjs SERVER HOOK API_KEY
//
// downloads the hook's private key, signs each payload with the documented function, and sends it as other tools would
// write the same JSON. Prints [{"sent": …, "status": …, "forged": …}, …], the status that each body got under the
// private key and under another one.

import crypto from 'crypto'; // Using Node.js crypto library

// Verbatim from the page "Webhook" of UPTIQ's documentation (docs.uptiq.ai/core-concepts/agent/webhook.md).
function createSignature(requestBody, privateKey) {
    const jsonPayload = JSON.stringify(requestBody, null, 0).replace(/\n/g, '');
    // Generate the signature using the SHA-256 algorithm and the private key
    const signature = crypto.createHmac('sha256', privateKey).update(jsonPayload).digest('hex');
    return signature;
}

// What a sender has read from a file or another program, as text: spaces, numbers and escapes are not JavaScript's.
const PAYLOADS = [
  '{"documentId":"doc_42","event":"document.extracted"}',
  '{ "documentId" : "doc_42" , "pages" : [ 1 , 2 ] }',
  '{\r\n\t"client": {\r\n\t\t"name": "Zoë Ångström 山田 🦀",\r\n\t\t"tags": [],\r\n\t\t"notes": {}\r\n\t}\r\n}\r\n',
  '{"deep": [{"a": {"b": [[[{"c": null}]]]}}, true, false, "", {"": 0}]}',
  '{"amounts": [1.0, 100.50, 1e21, 1E+2, 1e-7, 0.000001, -0, -0.0, 123456789012345680000, 9007199254740993, 5e-324]}',
  '{"text": "a\\/b \\u00e9\\u4e2d \\ud83e\\udd80 \\u2028 \\"quoted\\" \\\\ \\b\\f\\n\\r\\t\\u0001\\u007f < > &"}',
  '{"2": "keys", "b": "are", "1": "sorted", "a": "so"}',
  '{"line": "one\\ntwo", "path": "a\\\\new\\\\name"}',
  '[{"eventId": 1}, {"eventId": 2}]',
  '"only a string"',
];

const [server, hook, apiKey] = process.argv.slice(2);
const headers = { authorization: `Bearer ${apiKey}` };
const file = await (await fetch(new URL(`/v1/hooks/${hook}/private-key`, server), { headers })).json();

async function send(body, privateKey) {
  const headers = { 'content-type': 'application/json', 'x-signature': createSignature(JSON.parse(body), privateKey) };
  const answer = await fetch(new URL(file.webhookPath, server), { method: 'POST', headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

const report = [];
for (const payload of PAYLOADS) {
  for (const sent of [payload, JSON.stringify(JSON.parse(payload), null, 2)]) {
    report.push({ sent, status: await send(sent, file.privateKey), forged: await send(sent, `${file.privateKey}x`) });
  }
}
console.log(JSON.stringify(report));
