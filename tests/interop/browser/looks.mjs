// The page on a phone and on a desk, by day and by night: screenshots, and what can be measured about looks.

import assert from "node:assert/strict";
import { PHONE, play } from "./stage.mjs";

const DESK = { viewport: { width: 1280, height: 800 } };

/** Nothing sticks out at the sides, and the composer is inside the window. */
async function fits({ page }) {
  const { wide, bottom, height } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - window.innerWidth,
    bottom: document.querySelector("#say").getBoundingClientRect().bottom,
    height: window.innerHeight,
  }));
  assert.ok(wide <= 0, `the page is ${wide} px too wide`);
  assert.ok(bottom <= height, "the composer is below the window");
}

await play(async (person) => {
  const ada = await person("Ada", { ...DESK, colorScheme: "light" });
  const grace = await person("Grace", { ...PHONE, colorScheme: "dark" });
  await ada.page.goto(`${process.env.CHAT_URL}/`);
  await ada.shot("gate-desk-light");
  await grace.page.goto(`${process.env.CHAT_URL}/`);
  await grace.shot("gate-phone-dark");

  await ada.arrive("engines");
  await ada.shot("empty-desk-light");
  await grace.arrive("engines");
  await ada.say("Good morning! Did the drawings arrive?");
  await ada.tick("Good morning!", "delivered");
  await grace.say("They did. I went through the first three sheets last night, and the carry mechanism is lovely.");
  await grace.say("One question:\n  1. why nine columns\n  2. and not ten?");
  await ada.hears("and not ten?");
  await ada.say("Long_names_without_any_space_".repeat(6));
  await ada.say("Ten is for sign and overflow 🙂");
  await ada.tick("Ten is for sign", "delivered");
  await grace.hears("Ten is for sign");
  await grace.page.getByLabel("Message", { exact: true }).pressSequentially("I see");
  await ada.sees("#typing", "Grace is typing");

  await fits(ada);
  await fits(grace);
  await ada.shot("desk-light");
  await grace.shot("phone-dark");
  await ada.page.emulateMedia({ colorScheme: "dark" });
  await grace.page.emulateMedia({ colorScheme: "light" });
  await ada.shot("desk-dark");
  await grace.shot("phone-light");

  const menu = grace.page.getByRole("button", { name: "Rooms and people" });
  await menu.click();
  await grace.page.getByRole("button", { name: "Leave the chat" }).waitFor();
  assert.equal(await menu.getAttribute("aria-expanded"), "true");
  await grace.page.waitForFunction(() => document.querySelector("#side").getBoundingClientRect().left === 0); // it has slid in
  await grace.shot("phone-side");
  await grace.page.keyboard.press("Escape");
  await grace.page.getByRole("button", { name: "Leave the chat" }).waitFor({ state: "hidden" });
  assert.equal(await grace.page.evaluate(() => document.activeElement.id), "menu"); // focus is back where it was
});
