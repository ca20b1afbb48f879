// A thousand sockets of the ws package: URL PACKAGES http1|http2 DIR. When DIR/go-on is there, each
// sends a message, takes the echo, and is closed.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

import { overHttp2 } from "./web_socket_over_http2.mjs";

const [url, packages, version, dir] = process.argv.slice(2);
const WebSocket = createRequire(`${packages}/package.json`)("ws");

const sockets = [];
const sessions = [];
let options = {};
for (let count = 0; count < 1000; count += 100) {
  if (version === "http2") {
    // As many streams as a session may have.
    const { session, createConnection } = await overHttp2(url.replace("ws:", "http:"), {});
    sessions.push(session);
    options = { createConnection };
  }
  const more = Array.from({ length: 100 }, () => new WebSocket(url, options));
  await Promise.all(more.map((socket) => once(socket, "open")));
  sockets.push(...more);
}
console.log(`${sockets.length} are open`);

while (!existsSync(`${dir}/go-on`)) await sleep(5);
let closed = 0;
for (const [index, socket] of sockets.entries()) {
  const echo = once(socket, "message");
  socket.send(`message ${index}`);
  assert.equal((await echo)[0].toString(), `message ${index}`);
  const closing = once(socket, "close");
  socket.close(4001);
  assert.equal((await closing)[0], 4001);
  closed++;
}
console.log(`${closed} are closed`);
for (const session of sessions) session.close();
