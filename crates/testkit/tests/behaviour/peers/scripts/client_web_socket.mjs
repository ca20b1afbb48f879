// The ws package against an echo: URL CA PACKAGES [http2] [COUNT]. Its CA is in the environment.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";

import { overHttp2 } from "./web_socket_over_http2.mjs";

const [url, , packages, version] = process.argv.slice(2);
const WebSocket = createRequire(`${packages}/package.json`)("ws");

let session, createConnection;
if (version === "http2") {
  const { protocol, host } = new URL(url);
  const origin = `${protocol === "wss:" ? "https" : "http"}://${host}`;
  ({ session, createConnection } = await overHttp2(origin, {}));
}
// Without TLS the package lets no other connection be given than to `ws:`.
const options = createConnection ? { createConnection } : {};
const target = createConnection ? url.replace("wss:", "ws:") : url;

async function open(protocols, more) {
  const socket = new WebSocket(target, protocols, { ...options, maxPayload: 1 << 28, ...more });
  await once(socket, "open");
  return socket;
}

async function exchange(socket, message, send = (socket) => socket.send(message)) {
  const echo = once(socket, "message");
  send(socket);
  const [reply, isBinary] = await echo;
  assert.equal(isBinary, typeof message !== "string");
  assert.ok(reply.equals(Buffer.from(message)), `another message of ${message.length} bytes`);
}

for (const perMessageDeflate of [false, true]) {
  const socket = await open(["first", "second"], { perMessageDeflate });
  assert.equal(socket.protocol, "second");
  assert.equal(socket.extensions, perMessageDeflate ? "permessage-deflate" : "");
  for (const length of [0, 125, 126, 65535, 65536, 1 << 20, 16 << 20]) {
    await exchange(socket, randomBytes(length));
  }
  await exchange(socket, "Grüße ✓ ".repeat(100_000));
  const parts = [randomBytes(1000), Buffer.alloc(0), randomBytes(100_000)];
  await exchange(socket, Buffer.concat(parts), () => {
    parts.forEach((part, index) => socket.send(part, { fin: index === 2 }));
  });
  const pong = once(socket, "pong");
  socket.ping("there?");
  assert.equal((await pong)[0].toString(), "there?");
  const closed = once(socket, "close");
  socket.close(4001, "enough");
  assert.equal((await closed)[0], 4001);
}

const refused = await open([], {});
const closed = once(refused, "close");
refused.send("close with 4002");
const [code, reason] = await closed;
assert.deepEqual([code, reason.toString()], [4002, "as asked"]);
session?.close();
