// RFC 8441 for the ws package, which speaks WebSocket but opens it over HTTP/1.1 alone: the opening
// is turned into an extended CONNECT and back; all that comes behind it passes as it is.
import { createHash } from "node:crypto";
import { connect } from "node:http2";
import { Duplex } from "node:stream";

/** A stream whose first bytes, up to an empty line, go to `opening`, and the rest to another. */
class Opened extends Duplex {
  #head = "";
  #opening;
  #inner;

  constructor(opening) {
    super();
    this.#opening = opening;
  }

  /** From now on this is that stream. */
  become(inner) {
    this.#inner = inner;
    inner.on("data", (bytes) => this.push(bytes) || inner.pause());
    inner.on("end", () => this.push(null));
    inner.on("error", (error) => this.destroy(error));
    inner.on("close", () => this.destroy());
  }

  _read() {
    this.#inner?.resume();
  }

  _write(bytes, encoding, done) {
    if (this.#inner) return void this.#inner.write(bytes, encoding, done);
    this.#head += bytes.toString("latin1");
    if (this.#head.endsWith("\r\n\r\n")) {
      const [line, ...fields] = this.#head.trim().split("\r\n");
      const pairs = fields.map((field) => field.split(": "));
      this.#opening(line, Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value])));
    }
    done();
  }

  _final(done) {
    this.#inner ? this.#inner.end(done) : done();
  }

  _destroy(error, done) {
    this.#inner?.destroy();
    done(error);
  }

  setTimeout() {}
  setNoDelay() {}
  setKeepAlive() {}
}

const local = ["connection", "upgrade", "host", "sec-websocket-key", "sec-websocket-accept"];
const kept = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !local.includes(name) && name[0] !== ":"));

/** The option `createConnection` of a client whose sockets share one session. */
export async function overHttp2(origin, options) {
  const session = connect(origin, options);
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  if (!session.remoteSettings.enableConnectProtocol) throw new Error("no extended CONNECT");
  const createConnection = () => {
    const socket = new Opened((line, fields) => {
      const stream = session.request({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": new URL(origin).protocol.slice(0, -1),
        ":authority": new URL(origin).host,
        ":path": line.split(" ")[1],
        ...kept(fields),
      });
      stream.on("error", (error) => socket.destroy(error));
      stream.on("response", (reply) => {
        const status = reply[":status"];
        const key = `${fields["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const accept = createHash("sha1").update(key).digest("base64");
        const head =
          status === 200
            ? ["101 Switching", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`]
            : [`${status} Refused`, "Connection: close"];
        const passed = Object.entries(kept(reply)).map(([name, value]) => `${name}: ${value}`);
        socket.push(`HTTP/1.1 ${[...head, ...passed].join("\r\n")}\r\n\r\n`);
        socket.become(stream);
      });
    });
    return socket;
  };
  return { session, createConnection };
}

/** Gives each extended CONNECT to `accept`, as a server of Node gives an upgrade. */
export function acceptOverHttp2(server, accept) {
  server.on("connect", ({ headers: fields }, { stream }) => {
    const socket = new Opened((line, reply) => {
      const status = Number(line.split(" ")[1]);
      stream.respond({ ":status": status === 101 ? 200 : status, ...kept(reply) });
      socket.become(stream);
    });
    stream.on("error", () => {});
    const request = {
      method: "GET",
      url: fields[":path"],
      headers: { ...kept(fields), upgrade: "websocket", connection: "Upgrade" },
      socket,
    };
    request.headers["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA==";
    accept(request, socket, Buffer.alloc(0));
  });
}
