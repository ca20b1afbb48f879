// A provider of OAuth 2.0: npm `oidc-provider`, with a client for each way to prove who it is.
// usage: oauth_provider.mjs PACKAGES KEY_FILE; the private key of the client `keyed` goes to KEY_FILE.
// SIGUSR2 has it sign with another key from then on, and forget the one before.
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, keyFile] = process.argv.slice(2);
const found = createRequire(`${packages}/package.json`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(found));

const signer = (kid) => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
};
const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
writeFileSync(keyFile, own.privateKey.export({ type: "pkcs8", format: "pem" }));

const client = (id, method, more) => ({
  client_id: id,
  token_endpoint_auth_method: method,
  redirect_uris: [],
  response_types: [],
  grant_types: ["client_credentials"],
  ...more,
});

const make = (issuer, kid) =>
  new Provider(issuer, {
    clients: [
      client("basic:1", "client_secret_basic", { client_secret: "p w/-_%" }),
      client("post", "client_secret_post", { client_secret: "p+w&x=y" }),
      client("keyed", "private_key_jwt", {
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...own.publicKey.export({ format: "jwk" }), kid: "own", use: "sig" }] },
      }),
    ],
    jwks: { keys: [signer(kid)] },
    scopes: ["read"],
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: "read",
          audience: "urn:api",
          accessTokenFormat: "jwt",
          accessTokenTTL: 3600,
        }),
      },
    },
    ttl: { ClientCredentials: 3600 },
  });

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const issuer = `http://localhost:${port}`;
  let count = 0;
  let current;
  const renew = () => {
    const provider = make(issuer, `key-${(count += 1)}`);
    provider.on("grant.error", (_, error) => console.log(`refused ${error.error_description}`));
    current = provider.callback();
  };
  renew();
  server.on("request", (request, response) => current(request, response));
  process.on("SIGUSR2", () => {
    renew();
    console.log(`signs with key ${count}.`);
  });
  console.log(`port ${port}.`);
});
