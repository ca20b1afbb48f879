// Node's own HTTP server as an origin. Prints its port; works in the directory that it is given.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [dir, peers] = process.argv.slice(2);

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
    reply.setHeader("Content-Length", 13).end("one two three");
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
    reply.removeHeader("Transfer-Encoding");
    reply.setHeader("Connection", "close");
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
    reply.writeHead(413, { Connection: "close" }).end("too large");
  },
  "/hints": async (request, reply) => {
    reply.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    while (!existsSync(join(dir, "go-0"))) await sleep(5);
    reply.end("one two three");
  },
};

const server = createServer({ keepAliveTimeout: 60_000 }, async (request, reply) => {
  reply.setHeader("X-Peer-Port", request.socket.remotePort);
  const answer = paths[request.url];
  if (answer) await answer(request, reply);
  else reply.writeHead(404).end("no such path");
});

if (existsSync(join(peers, "node_modules/ws"))) {
  const { WebSocketServer } = createRequire(join(peers, "package.json"))("ws");
  new WebSocketServer({ server, path: "/socket" }).on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
}

server.listen(0, "127.0.0.1", () => console.log(`listening on port ${server.address().port}.`));
