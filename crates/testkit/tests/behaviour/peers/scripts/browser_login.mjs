// Headless Chromium logs in through the gateway, uses its session and logs out.
// usage: browser_login.mjs PACKAGES CHROMIUM GATEWAY PROVIDER
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [packages, executablePath, gateway, provider] = process.argv.slice(2);
const { chromium } = createRequire(`${packages}/package.json`)("playwright-core");

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(60_000);

  // Two tabs are sent to log in, each for itself.
  const [page, other] = [await context.newPage(), await context.newPage()];
  await page.goto(`${gateway}/cart?item=1`);
  assert.ok(page.url().startsWith(`${provider}/`), page.url());
  await page.fill("input[name=login]", "anna");
  await page.fill("input[name=password]", "whatever");
  await page.click("button[type=submit]");
  await page.waitForSelector("input[name=prompt][value=consent]", { state: "attached" });
  // The second knows the first's person already, but not the consent.
  await other.goto(`${gateway}/two`);
  assert.ok(other.url().startsWith(`${provider}/`), other.url());
  await page.click("button[type=submit]");
  await page.waitForURL(`${gateway}/cart?item=1`);
  await other.goto(`${gateway}/two`);
  assert.equal(other.url(), `${gateway}/two`);

  const cookies = (await context.cookies(gateway)).filter((c) => c.name.startsWith("__Host-portcullis-"));
  const session = cookies.filter((cookie) => !cookie.name.includes("-login-"));
  assert.ok(session.length >= 1);
  for (const cookie of cookies) {
    assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Lax", JSON.stringify(cookie));
  }
  assert.equal(await page.evaluate(() => document.cookie), "");

  // Scripts use the session; without one they are not sent anywhere.
  const ask = (where) => where.evaluate(async () => {
    const reply = await fetch("/api", { redirect: "manual" });
    return [reply.status, reply.type];
  });
  assert.deepEqual(await ask(page), [200, "basic"]);
  const kept = await context.cookies(gateway);
  await context.clearCookies({ domain: "localhost", name: /^__Host-portcullis/ });
  assert.deepEqual(await ask(page), [401, "basic"]);
  // Somebody who is logged in with the provider comes back without a word.
  await page.goto(`${gateway}/again`);
  assert.equal(page.url(), `${gateway}/again`);
  assert.ok(kept.length > 0);

  // Access tokens live for seconds: the session goes on with new ones.
  for (let visits = 0; visits < 30; visits += 1) {
    await page.goto(`${gateway}/visit/${visits}`);
    assert.equal(page.url(), `${gateway}/visit/${visits}`);
    await page.waitForTimeout(200);
  }

  // A page of another site logs nobody out.
  const foreign = await context.newPage();
  await foreign.goto(`data:text/html,<form method=post action="${gateway}/.portcullis/logout"></form>`);
  const [refused] = await Promise.all([
    foreign.waitForResponse((reply) => reply.url().endsWith("/.portcullis/logout")),
    foreign.evaluate(() => document.forms[0].submit()),
  ]);
  assert.equal(refused.status(), 403);
  assert.deepEqual(await ask(page), [200, "basic"]);

  // The user does: here, and then with the provider, which asks.
  await page.evaluate(() => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/.portcullis/logout";
    document.body.append(form);
    form.submit();
  });
  await page.waitForURL(`${provider}/session/end?**`);
  await page.click("button[name=logout], button[value=yes]");
  // Back through the gateway to where the session would be, and so to a new login.
  await page.waitForURL(`${provider}/interaction/**`);
  await page.waitForSelector("input[name=password]");
  const left = (await context.cookies(gateway)).map((cookie) => cookie.name);
  const sessions = left.filter((name) => /^__Host-portcullis-[0-9a-f]{8}(\.\d)?$/.test(name));
  assert.deepEqual(sessions, []);
  console.log("logged in and out.");
} finally {
  await browser.close();
}
