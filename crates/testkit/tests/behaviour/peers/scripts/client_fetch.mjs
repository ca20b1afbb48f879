// Node's fetch (undici) on a tour of the gateway: BASE CA BIG SHA256. Its CA is in the environment.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { openAsBlob, readFileSync } from "node:fs";

const [base, , big, expected] = process.argv.slice(2);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const ask = (path, options) => fetch(base + path, options);
const text = async (path, options) => (await ask(path, options)).text();
const post = (path, body) => text(path, { method: "POST", body, duplex: "half" });

for (let i = 0; i < 10; i++) assert.equal(await text("/length"), "one two three");
for (const path of ["/chunked", "/close", "/trailers"])
  assert.equal(await text(path), "one two three", path);
const head = await ask("/length", { method: "HEAD" });
assert.equal(head.headers.get("content-length"), "13");
assert.equal((await ask("/empty")).status, 204);
assert.equal((await ask("/length", { headers: { "If-None-Match": '"v1"' } })).status, 304);
assert.equal((await ask("/missing")).status, 404);
for (const path of ["/found", "/moved"]) {
  const reply = await ask(path);
  assert.deepEqual([reply.redirected, await reply.text()], [true, "one two three"], path);
}
assert.equal(await text("/hints"), "one two three");

const hello = sha256("hello");
assert.equal(await post("/upload", "hello"), hello);
for (const path of ["/again", "/moved-upload"]) assert.equal(await post(path, "hello"), hello);
const stream = () => new Blob(["hel", "l", "o"]).stream();
assert.equal(await post("/upload", stream()), hello);

// A body that comes back while it is still being made.
const { readable, writable } = new TransformStream();
const writer = writable.getWriter();
const encoder = new TextEncoder();
const first = writer.write(encoder.encode("part 0"));
const echo = await ask("/echo", { method: "POST", body: readable, duplex: "half" });
const reader = echo.body.pipeThrough(new TextDecoderStream()).getReader();
await first;
assert.equal((await reader.read()).value, "part 0");
await writer.write(encoder.encode("part 1"));
assert.equal((await reader.read()).value, "part 1");
await writer.close();
assert.equal((await reader.read()).done, true);

assert.equal(sha256(new Uint8Array(await (await ask("/big")).arrayBuffer())), expected);
assert.equal(await post("/upload", readFileSync(big)), expected);
assert.equal(await post("/upload", (await openAsBlob(big)).stream()), expected);
const several = await Promise.all(Array.from({ length: 20 }, () => text("/length")));
assert.ok(several.every((one) => one === "one two three"));
