// A provider of OpenID Connect: npm `oidc-provider`, with its own pages for logging in.
// usage: oidc_provider.mjs PACKAGES [SECONDS]; access tokens live for so many seconds.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, seconds = "3600"] = process.argv.slice(2);
const found = createRequire(`${packages}/package.json`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(found));

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const issuer = `http://localhost:${port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "shop",
        client_secret: "s3cret",
        redirect_uris: ["https://localhost/.portcullis/callback"],
        post_logout_redirect_uris: ["https://localhost/.portcullis/logout"],
        grant_types: ["authorization_code", "refresh_token", "client_credentials"],
        response_types: ["code"],
      },
    ],
    cookies: { keys: ["a key of this test"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    pkce: { required: () => true, methods: ["S256"] },
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      clientCredentials: { enabled: true },
    },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: Number(seconds), IdToken: 3600, RefreshToken: 3600, Grant: 3600 },
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
    }),
  });
  // Whatever port the gateway has.
  const same = (known) => (asked) => {
    const url = new URL(asked);
    url.port = "";
    return known.includes(url.href);
  };
  const client = provider.Client.prototype;
  client.redirectUriAllowed = function (asked) {
    return same(this.redirectUris)(asked);
  };
  client.postLogoutRedirectUriAllowed = function (asked) {
    return same(this.postLogoutRedirectUris)(asked);
  };
  const count = {};
  provider.on("grant.success", (ctx) => {
    const kind = ctx.oidc.params.grant_type;
    console.log(`granted ${kind} ${(count[kind] = (count[kind] ?? 0) + 1)} times`);
  });
  provider.on("grant.error", (_, error) => console.log(`refused ${error.error_description}`));
  server.on("request", provider.callback());
  console.log(`port ${port}.`);
});
