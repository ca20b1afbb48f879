// Node's own servers as an origin: DIR PACKAGES [http2|secure]. Prints its port; works in DIR, where
// origin.crt and origin.key are for a secure one, which has HTTP/2 and HTTP/1.1.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import * as http2 from "node:http2";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { acceptOverHttp2 } from "./web_socket_over_http2.mjs";

const [dir, peers, kind] = process.argv.slice(2);

async function sha256(request) {
  const hash = createHash("sha256");
  for await (const bytes of request) hash.update(bytes);
  return hash.digest("hex");
}

async function slow(reply) {
  for (let part = 0; part < 3; part++) {
    reply.write(`part ${part}\n`);
    while (!existsSync(join(dir, `go-${part}`))) await sleep(5);
  }
  reply.end();
}

const paths = {
  "/length": (request, reply) => {
    reply.setHeader("ETag", '"v1"');
    if (request.headers["if-none-match"] === '"v1"') return reply.writeHead(304).end();
    reply.setHeader("Content-Length", 13);
    reply.end("one two three");
  },
  "/chunked": (request, reply) => {
    for (const part of ["one ", "two ", "three"]) reply.write(part);
    reply.end();
  },
  "/trailers": (request, reply) => {
    reply.setHeader("Trailer", "X-Sum");
    reply.write("one two three");
    reply.addTrailers({ "X-Sum": "13" });
    reply.end();
  },
  "/close": (request, reply) => {
    if (request.httpVersionMajor === 1) {
      reply.removeHeader("Transfer-Encoding");
      reply.setHeader("Connection", "close");
    }
    reply.write("one two ");
    reply.end("three");
  },
  "/big": (request, reply) => {
    reply.setHeader("Content-Length", statSync(join(dir, "web/big")).size);
    createReadStream(join(dir, "web/big")).pipe(reply);
  },
  "/upload": async (request, reply) => reply.end(await sha256(request)),
  "/slow": (request, reply) => slow(reply),
  "/echo": (request, reply) => request.pipe(reply),
  "/empty": (request, reply) => reply.writeHead(204).end(),
  "/found": (request, reply) => reply.writeHead(302, { Location: "/length" }).end(),
  "/again": (request, reply) => {
    request.resume().on("end", () => reply.writeHead(307, { Location: "/upload" }).end());
  },
  "/refused": (request, reply) => reply.writeHead(413).end("too large"),
  "/refused-and-closed": (request, reply) => {
    if (request.httpVersionMajor === 1) reply.setHeader("Connection", "close");
    reply.writeHead(413).end("too large");
  },
  "/hints": async (request, reply) => {
    reply.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    while (!existsSync(join(dir, "go-0"))) await sleep(5);
    reply.end("one two three");
  },
  "/fields": (request, reply) => reply.end(JSON.stringify(request.rawHeaders)),
  "/many-fields": (request, reply) => {
    for (let i = 0; i < 80; i++) reply.setHeader(`X-Field-${i}`, "v".repeat(i));
    reply.setHeader("Set-Cookie", ["a=1; Path=/", "b=2; Path=/"]);
    reply.end("one two three");
  },
  "/request-trailers": async (request, reply) => {
    request.resume();
    await once(request, "end");
    reply.end(JSON.stringify(request.trailers));
  },
  // Content without an end; a file tells when nobody takes it any more.
  "/endless": async (request, reply) => {
    let open = true;
    reply.on("close", () => {
      open = false;
      writeFileSync(join(dir, "endless-closed"), "");
    });
    while (open) {
      if (!reply.write(Buffer.alloc(65536)))
        await Promise.race([once(reply, "drain"), once(reply, "close")]);
    }
  },
};

async function serve(request, reply) {
  reply.setHeader("X-Peer-Port", request.socket.remotePort);
  const answer = paths[request.url];
  if (answer) await answer(request, reply);
  else reply.writeHead(404).end("no such path");
}

const settings = { enableConnectProtocol: true };
const server = {
  http2: () => http2.createServer({ settings }, serve),
  secure: () => {
    const [key, cert] = ["key", "crt"].map((name) => readFileSync(join(dir, `origin.${name}`)));
    return http2.createSecureServer({ settings, key, cert, allowHTTP1: true }, serve);
  },
  undefined: () => createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 65_536 }, serve),
}[kind]();

if (existsSync(join(peers, "node_modules/ws"))) {
  const { WebSocketServer } = createRequire(join(peers, "package.json"))("ws");
  const options = {
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has("second") ? "second" : false),
    maxPayload: 1 << 28,
  };
  const sockets = new WebSocketServer({ ...options, noServer: true });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      if (!isBinary && data.toString() === "close with 4002") socket.close(4002, "as asked");
      else socket.send(data, { binary: isBinary });
    });
  });
  const accept = (request, stream, head) => {
    sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit("connection", socket));
  };
  server.on("upgrade", accept);
  if (kind) acceptOverHttp2(server, accept);
}

server.listen(0, "127.0.0.1", () => console.log(`listening on port ${server.address().port}.`));
