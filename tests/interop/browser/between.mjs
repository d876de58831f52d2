// Two people on two nodes: to them it is one chat. Then one node dies, and comes back.

import assert from "node:assert/strict";
import { OTHER_URL, ask, play } from "./stage.mjs";

const DESK = { viewport: { width: 1280, height: 800 } };

await play(async (person) => {
  const ada = await person("Ada", DESK);
  const grace = await person("Grace", DESK, OTHER_URL);
  await ada.arrive("engines");
  await ada.say("Anybody there?");
  await ada.tick("Anybody there?", "sent");

  await grace.arrive("engines");
  await grace.hears("Anybody there?"); // said on the other node, before she came
  await ada.sees(".notice", "Grace joined");
  await Promise.all([ada.company("Ada", "Grace"), grace.company("Ada", "Grace")]);
  await Promise.all([ada.sees("#cluster", "2 online on 2 nodes"), grace.sees("#cluster", "2 online on 2 nodes")]);
  const node = ({ page }) => page.locator("#cluster").textContent();
  assert.notEqual((await node(ada)).slice(0, 9), (await node(grace)).slice(0, 9));

  await grace.page.getByLabel("Message", { exact: true }).pressSequentially("Yes, over here");
  await ada.sees("#typing", "Grace is typing");
  await grace.page.keyboard.press("Enter");
  await ada.hears("Yes, over here");
  await grace.tick("Yes, over here", "delivered"); // the confirmation of a page on the other node
  await ada.say("I can read you");
  await grace.hears("I can read you");
  await ada.tick("I can read you", "delivered");

  const twin = await person("ADA", {}, OTHER_URL); // a name is taken on every node
  await twin.join("engines");
  await twin.sees("#problem", "already called Ada");

  const mary = await person("Mary", DESK, OTHER_URL);
  await mary.arrive("engines");
  await ada.company("Ada", "Grace", "Mary");
  await ada.shot("between-ada");
  await grace.shot("between-grace");

  await ask("kill"); // the node of Grace and Mary
  await grace.state("Reconnecting");
  await mary.context.close(); // nobody is there to miss her
  await grace.say("Said while it was down");
  await ada.say("Said to nobody");
  await grace.state("Connected");
  await ada.hears("Said while it was down");
  await grace.hears("Said to nobody"); // the new node has not heard it, and knows it all the same
  await Promise.all([ada.company("Ada", "Grace"), grace.company("Ada", "Grace")]);
  for (const one of [ada, grace]) {
    for (const text of ["Said while it was down", "Said to nobody"]) {
      assert.equal(await one.page.locator(".message").filter({ hasText: text }).count(), 1);
    }
  }

  await ada.page.getByLabel("Another room").fill("poetry");
  await ada.page.keyboard.press("Enter");
  await ada.sees("#title", "poetry");
  await grace.sees(".notice", "Ada left");
  await grace.company("Grace");
});
