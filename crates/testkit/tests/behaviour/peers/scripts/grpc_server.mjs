// grpc-js as a server, PACKAGES DIR: see grpc_go/server.go for what each method does. Prints its
// ports; SIGUSR1 stops it gracefully.
import { readFileSync } from "node:fs";

import { details, failure, grpc, options, service } from "./grpc.mjs";

const dir = process.argv[3];

function failed(call) {
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", details);
  call.emit("error", { code: grpc.status.FAILED_PRECONDITION, details: failure, metadata });
}

const methods = {
  Unary(call, answer) {
    const [fields, trailers] = [new grpc.Metadata(), new grpc.Metadata()];
    for (const name of ["text", "data-bin"]) {
      for (const value of call.metadata.get(`x-${name}`)) {
        fields.add(`x-${name}`, value);
        trailers.add(`t-${name}`, value);
      }
    }
    call.sendMetadata(fields);
    answer(null, call.request, trailers);
  },
  async Gather(call, answer) {
    let [count, size] = [0, 0];
    for await (const message of call) {
      count++;
      size += message.length;
    }
    answer(null, Buffer.from(`${count} ${size}`));
  },
  async Spread(call) {
    const [count, size] = call.request.toString().split(" ").map(Number);
    for (let i = 0; i < count; i++) call.write(Buffer.alloc(size, "s"));
    call.end();
  },
  Chat(call) {
    call.pipe(call);
  },
  Fail(call) {
    for (let i = 0; i < Number(call.request.toString()); i++) call.write(call.request);
    failed(call);
  },
  Wait(call) {
    call.on("cancelled", () => console.log(`cancelled ${call.request}.`));
    call.write(call.request);
  },
};

const server = new grpc.Server(options);
server.addService(service, methods);
const pair = {
  cert_chain: readFileSync(`${dir}/server.crt`),
  private_key: readFileSync(`${dir}/server.key`),
};
const ways = {
  plain: grpc.ServerCredentials.createInsecure(),
  secure: grpc.ServerCredentials.createSsl(null, [pair]),
};
for (const [name, credentials] of Object.entries(ways)) {
  server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
    if (error) throw error;
    console.log(`${name} on port ${port}.`);
  });
}

process.once("SIGUSR1", () => {
  console.log("stopping");
  server.tryShutdown(() => process.exit());
});
