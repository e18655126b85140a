// What the demo page keeps: a model is kept, and opens on a second visit when the server is gone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityProblems } from "../support/axe.mjs";
import { browser, shoot, startDemo, status, stopDemo, visit } from "../support/demo.mjs";
import { serveStrictly } from "../support/strict-site.mjs";

const patience = 120_000;

before(startDemo);
after(stopDemo);

async function shrinkSample(page) {
  await page.getByRole("button", { name: "Voice detection" }).click();
  await status(page, "exact");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
}

const panel = (page) => page.locator("#cached");
const keep = (page) => page.getByRole("button", { name: "Keep it in this browser" });
const kept = (page) => panel(page).getByRole("listitem");

test("a sample is kept, opens on a second visit without a server, and is deleted", async (t) => {
  const home = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  t.after(() => home.close());
  const site = await serveStrictly();
  const first = await visit(t, {}, site.url, home);
  assert.equal(await panel(first).isVisible(), false, "there is nothing to show");
  await shrinkSample(first);
  const bytes = await first.locator("#after-bytes").innerText();
  await keep(first).click();
  await status(first, "both open without a network");
  await kept(first).waitFor({ timeout: patience });
  const text = await kept(first).innerText();
  assert.match(text, /silero_vad_v5\.onnx/);
  assert.match(text, /int8/);
  assert.ok(text.includes(bytes.split(" · ")[0]), `${text} has the size of ${bytes}`);
  assert.match(await panel(first).innerText(), /1 model, .*This page takes .* of the .* allows/);
  assert.equal(await keep(first).isVisible(), false);
  assert.deepEqual(await accessibilityProblems(first, "#cached"), []);
  await shoot(first, "cached");
  // What a visitor's own address gives is no file of the page.
  const others = await first.evaluate(async () => {
    await (await fetch("files.json?for=a-model")).text();
    const keys = await (await caches.open("modelshrink-page")).keys();
    return keys.map(({ url }) => new URL(url)).filter(({ search }) => search !== "").length;
  });
  assert.equal(others, 0);
  await first.close();

  await site.close();
  const second = await visit(t, {}, site.url, home);
  await second.setViewportSize({ width: 390, height: 844 });
  await kept(second).waitFor();
  await second.getByRole("button", { name: /^Open silero/ }).click();
  await second
    .locator("#model-name")
    .filter({ hasText: /^silero_vad_v5\.onnx$/ })
    .waitFor();
  // It is quantized already, so that nothing is planned, and the status stays empty.
  await second
    .locator("#before-bytes")
    .filter({ hasText: bytes.split(" · ")[0] })
    .waitFor();
  await shoot(second, "cached-offline");
  await second.getByRole("button", { name: /^Delete silero/ }).click();
  await panel(second).getByText("is deleted").waitFor();
  assert.equal(await kept(second).count(), 0);
  await second.reload();
  await second.locator("#drop").waitFor();
  assert.equal(await panel(second).isVisible(), false);
});

for (const viewport of [
  { width: 1280, height: 900 },
  { width: 390, height: 844 },
]) {
  test(`what was just shrunk can be kept beside its download, at ${viewport.width} pixels`, async (t) => {
    const home = await browser.newContext({ viewport });
    t.after(() => home.close());
    const page = await visit(t, { viewport }, undefined, home);
    await shrinkSample(page);
    const boxOf = (name) => page.getByRole("button", { name, exact: true }).boundingBox();
    const [download, own] = [await boxOf("Download"), await boxOf("Keep it in this browser")];
    const scrolled = await page.evaluate(() => scrollY);
    assert.ok(own.y >= 0 && own.y + own.height <= viewport.height, `in sight: ${own.y}`);
    assert.ok(Math.abs(own.y - download.y) < 3 * own.height, "it is by the other button");
    await keep(page).click();
    await status(page, "It is kept");
    assert.equal(await page.evaluate(() => scrollY), scrolled);
    assert.match(await page.locator("#keep-status").innerText(), /^It is kept/);
  });
}

test("a model that cannot be kept says so by its button, and later ones in the card", async (t) => {
  const home = await browser.newContext();
  t.after(() => home.close());
  const page = await visit(t, { expected: /Failed to load|503/ }, undefined, home);
  await shrinkSample(page);
  await page.route("**/silero*.onnx", (route) => route.fulfill({ status: 503 }));
  await keep(page).click();
  await status(page, "silero_vad_v5.onnx cannot be kept");
  assert.match(await page.locator("#keep-status").innerText(), /cannot be kept: .*503/);
  assert.ok(await keep(page).isEnabled(), "it can be tried again");
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.unroute("**/silero*.onnx");
  await page.route("**/silero*.onnx", async (route) => {
    await held;
    await route.fulfill({ status: 503 });
  });
  const asked = page.waitForRequest("**/silero*.onnx");
  await keep(page).click();
  await asked;
  await page.locator('input[name="preset"][value="fp16"]').evaluate((it) => it.click());
  await status(page, "exact");
  assert.equal(await page.locator("#keep-status").innerText(), "");
  letGo();
  await panel(page).getByText("cannot be kept").waitFor({ timeout: patience });
});

test("each recipe of a model is kept and deleted for itself", async (t) => {
  const home = await browser.newContext();
  t.after(() => home.close());
  const page = await visit(t, {}, undefined, home);
  await shrinkSample(page);
  await keep(page).click();
  await kept(page).filter({ hasText: "int8" }).waitFor({ timeout: patience });
  await page.locator('input[name="preset"][value="fp16"]').evaluate((it) => it.click());
  await status(page, "exact");
  assert.equal(await keep(page).isVisible(), false, "what is not shrunk yet cannot be kept");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
  await keep(page).click();
  await kept(page).filter({ hasText: "float16" }).waitFor({ timeout: patience });
  assert.equal(await kept(page).count(), 2);
  await page.getByRole("button", { name: /^Delete silero.*float16/ }).click();
  await panel(page).getByText("is deleted").waitFor();
  assert.match((await kept(page).allInnerTexts()).join(), /^[^]*int8[^]*$/);
  assert.equal(await kept(page).count(), 1);
});

test("a model that is still on its way leaves the next one's button and words alone", async (t) => {
  const home = await browser.newContext();
  t.after(() => home.close());
  const page = await visit(t, {}, undefined, home);
  await shrinkSample(page);
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/silero*.onnx", async (route) => {
    await held;
    await route.continue();
  });
  const asked = page.waitForRequest("**/silero*.onnx");
  await keep(page).click();
  await asked;
  await page.locator('input[name="preset"][value="fp16"]').evaluate((it) => it.click());
  await status(page, "exact");
  await page.getByRole("button", { name: "Shrink", exact: true }).click();
  await status(page, "Done in");
  assert.ok(await keep(page).isEnabled(), "the second recipe can be kept");
  letGo();
  await kept(page).filter({ hasText: "int8" }).waitFor({ timeout: patience });
  assert.ok(await keep(page).isVisible(), "the first one's end is not the second one's");
  assert.doesNotMatch(await panel(page).innerText(), /It is kept|Downloading|Shrinking|Keeping/);
  await keep(page).click();
  await kept(page).filter({ hasText: "float16" }).waitFor({ timeout: patience });
  assert.equal(await kept(page).count(), 2);
});
