// What client and server of grpc-js share. Messages are bytes, so that nothing has to be generated.
import { createRequire } from "node:module";

export const grpc = createRequire(`${process.argv[2]}/package.json`)("@grpc/grpc-js");

const asIs = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/peers.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

/** A method without streams at any path. */
export const unary = (path) => ({ ...method("", false, false), path });

export const service = {
  Unary: method("Unary", false, false),
  Gather: method("Gather", true, false),
  Spread: method("Spread", false, true),
  Chat: method("Chat", true, true),
  Fail: method("Fail", false, true),
  Wait: method("Wait", false, true),
};

export const options = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
};

export const failure = "not now: 100 % ✓";

const field = (number, bytes) => Buffer.from([(number << 3) | 2, bytes.length, ...Buffer.from(bytes)]);

/** A google.rpc.Status with a google.protobuf.StringValue that says "why". */
export const details = Buffer.concat([
  Buffer.from([1 << 3, 9]),
  field(2, Buffer.from(failure)),
  field(3, [
    ...field(1, Buffer.from("type.googleapis.com/google.protobuf.StringValue")),
    ...field(2, [...field(1, Buffer.from("why"))]),
  ]),
]);
