// Node's own HTTP/2 client on a tour of the gateway: BASE CA BIG SHA256. One session for all of it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, readFileSync } from "node:fs";
import { connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";

const [base, ca, big, expected] = process.argv.slice(2);
const session = connect(base, { ca: readFileSync(ca) });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Opens a stream; its reply's fields come with `once(stream, "response")`. */
function open(path, fields = {}, options) {
  const stream = session.request({ ":path": path, ...fields }, options);
  stream.fields = once(stream, "response").then(([fields]) => fields);
  return stream;
}

/** The whole reply. */
async function whole(stream) {
  const reply = { trailers: {} };
  stream.on("trailers", (trailers) => (reply.trailers = trailers));
  reply.fields = await stream.fields;
  const parts = [];
  for await (const part of stream) parts.push(part);
  reply.bytes = Buffer.concat(parts);
  reply.text = reply.bytes.toString();
  reply.status = reply.fields[":status"];
  return reply;
}

const get = (path, fields) => whole(open(path, fields));

async function send(path, body, fields = {}) {
  const stream = open(path, { ":method": "POST", ...fields });
  if (body?.pipe) body.pipe(stream);
  else stream.end(body);
  return whole(stream);
}

async function replies() {
  for (let i = 0; i < 10; i++) assert.equal((await get("/length")).text, "one two three");
  assert.equal((await get("/length")).fields["content-length"], "13");
  for (const path of ["/chunked", "/close", "/hints"]) {
    const reply = await get(path);
    assert.equal(reply.text, "one two three", path);
    for (const name of ["connection", "transfer-encoding", "keep-alive"])
      assert.equal(reply.fields[name], undefined, name);
  }
  const head = await get("/length", { ":method": "HEAD" });
  assert.deepEqual([head.fields["content-length"], head.text], ["13", ""]);
  assert.equal((await get("/chunked", { ":method": "HEAD" })).status, 200);
  assert.equal((await get("/empty")).status, 204);
  assert.equal((await get("/length", { "if-none-match": '"v1"' })).status, 304);
  assert.equal((await get("/missing")).status, 404);
  for (const path of ["/found", "/moved"])
    assert.equal((await get(path)).fields.location, "/length", path);
}

async function interim() {
  const hinted = open("/hints");
  const hints = once(hinted, "headers");
  const reply = await whole(hinted);
  const [fields] = await hints;
  assert.deepEqual([fields[":status"], fields.link], [103, "</style.css>; rel=preload; as=style"]);
  assert.equal(reply.text, "one two three");

  const asking = open("/upload", { ":method": "POST", expect: "100-continue" });
  await once(asking, "continue");
  asking.end("hello");
  assert.equal((await whole(asking)).text, sha256("hello"));
}

async function trailers() {
  assert.equal((await get("/trailers")).trailers["x-sum"], "13");
  const stream = open("/request-trailers", { ":method": "POST", trailer: "x-end" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "behind" }));
  stream.end("content");
  assert.equal(JSON.parse((await whole(stream)).text)["x-end"], "behind");
}

async function fields() {
  const many = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`x-field-${i}`, "v".repeat(i)]));
  // Each value of a cookie becomes a field of its own.
  const raw = JSON.parse((await get("/fields", { ...many, cookie: ["a=1", "b=2", "c=3"] })).text);
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i].toLowerCase(), raw[i + 1]]);
  const values = (wanted) => pairs.filter(([name]) => name === wanted).map(([, value]) => value);
  for (const [name, value] of Object.entries(many)) assert.deepEqual(values(name), [value]);
  // With HTTP/2 behind the gateway they may come apart again; joined they are the same.
  assert.equal(values("cookie").join("; "), "a=1; b=2; c=3");
  if (values("host").length) assert.deepEqual(values("cookie"), ["a=1; b=2; c=3"]);

  const reply = await get("/many-fields");
  for (const [name, value] of Object.entries(many)) assert.equal(reply.fields[name], value);
  assert.deepEqual(reply.fields["set-cookie"], ["a=1; Path=/", "b=2; Path=/"]);
}

async function content() {
  assert.equal((await send("/upload")).text, sha256(""));
  for (const method of ["POST", "PUT"])
    assert.equal((await send("/upload", "hello", { ":method": method })).text, sha256("hello"));
  assert.equal((await send("/upload", "hello", { "content-length": "5" })).text, sha256("hello"));
  assert.equal((await send("/again", "hello")).fields.location, "/upload");

  assert.equal(sha256((await get("/big")).bytes), expected);
  assert.equal((await send("/upload", createReadStream(big))).text, expected);

  // 64 MiB there and back at once.
  const part = randomBytes(1 << 20);
  const sent = createHash("sha256");
  const echo = open("/echo", { ":method": "POST" });
  const back = createHash("sha256");
  echo.on("data", (bytes) => back.update(bytes));
  for (let i = 0; i < 64; i++) {
    sent.update(part);
    if (!echo.write(part)) await once(echo, "drain");
  }
  echo.end();
  await once(echo, "end");
  assert.equal(back.digest("hex"), sent.digest("hex"));
}

/** One stream whose content nobody takes does not hold up the others. */
async function slow() {
  const stalled = open("/big");
  stalled.pause();
  assert.equal((await stalled.fields)[":status"], 200);
  await sleep(200);
  const others = Array.from({ length: 99 }, () => get("/length"));
  for (const other of await Promise.all(others)) assert.equal(other.text, "one two three");
  assert.equal(sha256((await whole(stalled)).bytes), expected);
}

/** Replies that come before the content is sent. */
async function early() {
  for (const path of ["/refused", "/refused-and-closed"]) {
    const stream = open(path, { ":method": "POST" });
    stream.on("error", () => {});
    const content = createReadStream(big);
    content.pipe(stream);
    assert.equal((await stream.fields)[":status"], 413, path);
    let text = "";
    for await (const bytes of stream) text += bytes;
    assert.equal(text, "too large");
    content.destroy();
  }
  assert.equal((await get("/length")).text, "one two three");
}

/** The test looks whether the origin learns of it. */
async function cancelled() {
  const endless = open("/endless");
  for await (const bytes of endless) if (bytes.length) break;
  endless.close(8);
  assert.equal((await get("/length")).text, "one two three");
}

for (const part of [replies, interim, trailers, fields, content, slow, early, cancelled]) {
  const timer = setTimeout(() => {
    console.error(`${part.name} does not end`);
    process.exit(1);
  }, 30_000);
  await part();
  clearTimeout(timer);
}
session.close();
