// Two people in a room: names, typing, messages both ways, ticks, rooms, and text that stays text.

import assert from "node:assert/strict";
import { play } from "./stage.mjs";

await play(async (person) => {
  const ada = await person("Ada");
  const grace = await person("Grace");
  await ada.arrive("engines");
  await ada.company("Ada");

  await ada.say("Anybody here?");
  await ada.tick("Anybody here?", "sent"); // the server has it, nobody else does

  await grace.arrive("engines");
  await grace.hears("Anybody here?"); // from before she came
  await ada.sees(".notice", "Grace joined");
  await Promise.all([ada.company("Ada", "Grace"), grace.company("Ada", "Grace")]);

  await grace.page.getByLabel("Message", { exact: true }).pressSequentially("Yes");
  await ada.sees("#typing", "Grace is typing");
  await grace.page.keyboard.press("Enter");
  await ada.hears("Yes");
  await grace.tick("Yes", "delivered");
  await ada.page.waitForFunction(() => document.querySelector("#typing").textContent === "");

  const hostile = `<img src=x onerror="alert(1)"> <b>bold</b> & "quotes"`;
  await ada.say(hostile);
  await grace.hears(hostile); // letter by letter
  assert.equal(await grace.page.locator("#messages img, #messages b").count(), 0);

  const twin = await person("ada"); // a name is taken in any spelling
  await twin.join("engines");
  await twin.sees("#problem", "already called Ada");

  await ada.page.getByLabel("Another room").fill("poetry");
  await ada.page.keyboard.press("Enter");
  await ada.sees("#title", "poetry");
  await ada.company("Ada");
  await grace.sees(".notice", "Ada left");
  await grace.company("Grace");
  await grace.say("Just me then");
  await grace.tick("Just me then", "sent");
  await ada.say("In here");
  await ada.tick("In here", "sent");
  assert.equal(await grace.page.getByText("In here").count(), 0); // rooms are apart

  await ada.page.getByRole("button", { name: "engines" }).click();
  await ada.hears("Just me then");
  await grace.company("Ada", "Grace");

  await ada.page.reload(); // the tab remembers who and where
  await ada.state("Connected");
  await ada.hears("Just me then");
  await grace.company("Ada", "Grace");

  const copy = ada.context.waitForEvent("page"); // a copied tab has the same key: it takes over, nobody is there twice
  await ada.page.evaluate(() => void window.open(location.href));
  await ada.sees("#problem", "in another tab");
  ada.page = await copy;
  await ada.state("Connected");
  await grace.company("Ada", "Grace");

  await ada.page.getByRole("button", { name: "Leave the chat" }).click();
  await ada.page.getByRole("heading", { name: "Come on in" }).waitFor();
  await grace.company("Grace");
});
