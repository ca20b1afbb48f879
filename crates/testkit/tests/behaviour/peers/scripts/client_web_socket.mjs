// The ws package against an echo: URL CA PACKAGES. Its CA is in the environment.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";

const [url, , packages] = process.argv.slice(2);
const WebSocket = createRequire(`${packages}/package.json`)("ws");

for (const perMessageDeflate of [false, true]) {
  const socket = new WebSocket(url, { perMessageDeflate });
  await once(socket, "open");
  for (const length of [0, 125, 126, 65535, 65536, 1 << 20]) {
    const message = randomBytes(length);
    const echo = once(socket, "message");
    socket.send(message);
    assert.deepEqual((await echo)[0], message);
  }
  const pong = once(socket, "pong");
  socket.ping("there?");
  assert.equal((await pong)[0].toString(), "there?");
  const closed = once(socket, "close");
  socket.close(4001, "enough");
  assert.equal((await closed)[0], 4001);
}
