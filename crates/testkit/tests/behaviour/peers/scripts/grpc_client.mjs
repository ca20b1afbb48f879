// grpc-js as a client, PACKAGES BASE CA SCENARIO ...: see grpc_go/client.go for the scenarios.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { details, failure, grpc, options, service, unary } from "./grpc.mjs";

const [base, ca, scenario, argument] = process.argv.slice(3);
const url = new URL(base);
const credentials =
  url.protocol === "https:"
    ? grpc.credentials.createSsl(readFileSync(ca))
    : grpc.credentials.createInsecure();
const connected = (more) => {
  const Client = grpc.makeGenericClientConstructor(service, "Echo");
  // Channels with the same options are one.
  return new Client(url.host, credentials, { ...options, ...more });
};
let client = connected({});

/** The status that a call of Node's ends with. */
function status(call) {
  call.on("error", () => {});
  return new Promise((resolve) => call.on("status", resolve));
}

/** A unary call: its reply with fields and trailers, or a failure. */
function ask(message, metadata = new grpc.Metadata(), definition = service.Unary) {
  const { path, requestSerialize, responseDeserialize } = definition;
  return new Promise((resolve, reject) => {
    let fields, trailers;
    const call = client.makeUnaryRequest(
      path, requestSerialize, responseDeserialize, message, metadata,
      (error, reply) => {
        // The status comes behind the reply.
        setImmediate(() => (error ? reject(error) : resolve({ reply, fields, trailers })));
      },
    );
    call.on("metadata", (metadata) => (fields = metadata));
    call.on("status", ({ metadata }) => (trailers = metadata));
  });
}

async function echoed(message) {
  const { reply } = await ask(message);
  assert.ok(reply.equals(message), `another message of ${message.length} bytes`);
}

/** A call whose replies are a stream. */
class Chat {
  constructor(call) {
    this.call = call;
    this.last = status(call);
    this.messages = call[Symbol.asyncIterator]();
  }

  async receive() {
    return (await this.messages.next()).value;
  }

  async exchange(message) {
    this.call.write(message);
    const reply = await this.receive();
    assert.ok(reply.equals(message), `another message of ${message.length} bytes`);
  }

  /** Ends a call that has sent all. */
  async finish() {
    this.call.end?.();
    assert.equal((await this.messages.next()).done, true);
    const { code, details } = await this.last;
    if (code !== 0) throw new Error(`${code} ${details}`);
  }
}

function noise(size) {
  const message = Buffer.alloc(size);
  let state = size + 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    message[i] = state >>> 24;
  }
  return message;
}

async function kinds(size) {
  const message = noise(size);
  await echoed(message);

  const gathered = await new Promise((resolve, reject) => {
    const call = client.Gather((error, reply) => (error ? reject(error) : resolve(reply)));
    for (let i = 0; i < 3; i++) call.write(message);
    call.end();
  });
  assert.equal(gathered.toString(), `3 ${3 * size}`);

  const spread = new Chat(client.Spread(Buffer.from(`3 ${size}`)));
  for (let i = 0; i < 3; i++) assert.ok((await spread.receive()).equals(Buffer.alloc(size, "s")));
  await spread.finish();

  const chat = new Chat(client.Chat());
  for (let i = 0; i < 3; i++) await chat.exchange(message);
  await chat.finish();
}

/** One message of 16 MiB, and so much in parts, of which none is taken at first. */
async function large() {
  const chat = new Chat(client.Chat());
  await chat.exchange(noise(16 << 20));
  const part = noise(1 << 20);
  for (let i = 0; i < 16; i++) chat.call.write(part);
  await sleep(300);
  for (let i = 0; i < 16; i++) assert.ok((await chat.receive()).equals(part), "another part");
  await chat.finish();
}

async function metadata() {
  const texts = ["one, two", "three"];
  const data = [Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.alloc(1)];
  const sent = new grpc.Metadata();
  for (const text of texts) sent.add("x-text", text);
  for (const bytes of data) sent.add("x-data-bin", bytes);
  const { fields, trailers } = await ask(Buffer.alloc(0), sent);
  for (const [prefix, got] of [["x-", fields], ["t-", trailers]]) {
    // Values may be joined on their way.
    assert.equal(got.get(`${prefix}text`).join(", "), "one, two, three");
    assert.deepEqual(got.get(`${prefix}data-bin`), data);
  }
}

async function failures() {
  for (let count = 0; count < 3; count++) {
    const call = client.Fail(Buffer.from(String(count)));
    // This library may drop messages that it has not told when it sees such a status.
    call.resume();
    const last = await status(call);
    assert.deepEqual([last.code, last.details], [9, failure]);
    assert.deepEqual(last.metadata.get("grpc-status-details-bin"), [details]);
  }
  await assert.rejects(ask(Buffer.alloc(0), undefined, unary("/peers.Echo/Nothing")), { code: 12 });
}

async function compressed() {
  const before = client;
  client = connected({ "grpc.default_compression_algorithm": 2 });
  const easy = Buffer.alloc(5 << 18, "easy ");
  await echoed(easy);
  await echoed(noise(100_000));
  const chat = new Chat(client.Chat());
  await chat.exchange(easy);
  await chat.exchange(Buffer.alloc(0));
  await chat.finish();
  client.close();
  client = before;
}

/** Two calls that end before the server ends them. */
async function ended(key) {
  const late = client.Wait(Buffer.from(`${key}-deadline`), { deadline: Date.now() + 500 });
  let received = 0;
  late.on("data", () => received++);
  const { code } = await status(late);
  assert.equal(received, 1);
  // The server knows the deadline too, and grpc-go's may be the first to reset the call.
  assert.ok(code === 4 || code === 1, `${code}`);

  const call = client.Wait(Buffer.from(`${key}-cancel`));
  const cancelled = status(call);
  call.on("data", () => call.cancel());
  assert.equal((await cancelled).code, 1);
}

/** A hundred streams at once, and then a thousand unary calls. */
async function many() {
  const chats = Array.from({ length: 100 }, () => new Chat(client.Chat()));
  for (let turn = 0; turn < 2; turn++) {
    for (const [i, chat] of chats.entries()) await chat.exchange(noise(i));
  }
  for (const chat of chats) await chat.finish();
  await Promise.all(Array.from({ length: 1000 }, (_, i) => echoed(noise(i))));
}

async function load(stop) {
  let count = 0;
  const message = Buffer.alloc(1000, "m");
  const deadline = () => ({ deadline: Date.now() + 20_000 });
  async function chat() {
    const chat = new Chat(client.Chat(deadline()));
    for (let i = 0; i < 3; i++) await chat.exchange(message);
    await chat.finish();
  }
  async function work(worker) {
    while (!existsSync(stop)) {
      try {
        await (worker % 4 === 0 ? chat() : echoed(message));
      } catch (error) {
        console.log("failed:", error.message);
      }
      if (++count % 100 === 0) console.log(`calls ${count}.`);
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
}

const scenarios = {
  async tour(key) {
    for (const size of [0, 1 << 10, 1 << 20]) await kinds(size);
    await large();
    await metadata();
    await failures();
    await compressed();
    await ended(key);
    await many();
  },
  async ask(path) {
    const answered = ask(Buffer.alloc(0), undefined, unary(path));
    const { code, details } = await answered.then(() => ({ code: 0, details: "" }), (error) => error);
    console.log(`${code} ${details}`);
  },
  async wait(key) {
    const call = client.Wait(Buffer.from(key));
    call.on("data", () => console.log("waiting."));
    console.log(`ended ${(await status(call)).code}.`);
  },
  load,
  async chat(stop) {
    const chat = new Chat(client.Chat());
    for (let count = 1; !existsSync(stop); count++) {
      await chat.exchange(Buffer.from(`message ${count}`));
      console.log(`messages ${count}.`);
      await sleep(5);
    }
    await chat.finish();
  },
  async ping() {
    const often = { "grpc.keepalive_time_ms": 50, "grpc.keepalive_timeout_ms": 5000 };
    client = connected(often);
    const chat = new Chat(client.Chat());
    await chat.exchange(Buffer.from("before"));
    await sleep(12_000);
    await chat.exchange(Buffer.from("behind"));
    await chat.finish();
  },
};

await scenarios[scenario](argument);
client.close();
