// What every scenario needs: one Chromium, people with a tab each, and waiting for what a person would see.
// Environment: CHAT_URL, OTHER_URL (of another node, in some scenarios), CHROMIUM (its path), SHOTS (a folder for screenshots).

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(import.meta.url)("playwright-core"); // `require` also looks into NODE_PATH

const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const { CHAT_URL, CHROMIUM, SHOTS } = process.env;
export const { OTHER_URL } = process.env;
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** One person: a browser context (storage of its own) with one tab. Every wait ends with an error after 15 seconds. */
export class Person {
  constructor(context, page, name, url) {
    Object.assign(this, { context, page, name, url, errors: [] });
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("dialog", (dialog) => this.errors.push(`dialog: ${dialog.message()}`));
  }

  async join(room) {
    await this.page.goto(`${this.url}/#${room}`);
    await this.page.getByLabel("Your name").fill(this.name);
    assert.equal(await this.page.getByLabel("Room", { exact: true }).inputValue(), room);
    await this.page.getByRole("button", { name: "Join the room" }).click();
  }

  async arrive(room) {
    await this.join(room);
    await this.state("Connected");
    await this.sees("#title", room);
  }

  async say(text) {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.keyboard.press("Enter");
  }

  sees(selector, text) {
    return this.page.locator(selector).filter({ hasText: text }).first().waitFor();
  }

  hears(text) {
    return this.sees(".message .text", text);
  }

  state(text) {
    return this.sees("#state", text);
  }

  /** The message with that text shows that tick: sending, sent, delivered or failed. */
  tick(text, tick) {
    return this.page.locator(`.mine[data-tick=${tick}]`).filter({ hasText: text }).waitFor();
  }

  /** The people list shows exactly these names. */
  async company(...names) {
    const wanted = JSON.stringify(names.sort());
    const shown = (wanted) => JSON.stringify([...document.querySelectorAll("#people .name")].map((item) => item.textContent).sort()) === wanted;
    await this.page.waitForFunction(shown, wanted);
  }

  shot(name) {
    return this.page.screenshot({ path: `${SHOTS}/${name}.png` });
  }
}

/** Tell the test that started us something, and wait until it says "done". */
export async function ask(word, lines = ask.lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]()) {
  console.log(word);
  assert.equal((await lines.next()).value, "done");
}

/** The page gets the official client from the npm package's file (CLIENT), which stands in for the CDN. */
export function fromTheNpmPackage(page) {
  const headers = { "access-control-allow-origin": "*" };
  return page.route("https://cdn.jsdelivr.net/**", (route) => route.fulfill({ path: process.env.CLIENT, headers }));
}

/** Run a scenario: it gets `person(name, options, url)`. Fails the process on any error, page errors included. */
export async function play(scenario) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  const people = [];
  const person = async (name, options = {}, url = CHAT_URL) => {
    const context = await browser.newContext(options);
    people.push(new Person(context, await context.newPage(), name, url));
    return people.at(-1);
  };
  try {
    await scenario(person);
    for (const { name, errors } of people) assert.deepEqual(errors, [], `errors on the page of ${name}`);
  } catch (error) {
    for (const one of people) await one.shot(`failed-${one.name}`).catch(() => {});
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}
