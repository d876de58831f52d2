// One of two loses the network, writes meanwhile, and returns: same name, same room, nothing lost, nothing twice.

import assert from "node:assert/strict";
import { play } from "./stage.mjs";

await play(async (person) => {
  const ada = await person("Ada");
  const grace = await person("Grace");
  await ada.arrive("tunnel");
  await grace.arrive("tunnel");
  await ada.company("Ada", "Grace");

  await grace.context.setOffline(true);
  await grace.state("Offline");
  await ada.say("Are you there?");
  await grace.say("Written in the tunnel");
  await grace.tick("Written in the tunnel", "sending");

  await grace.context.setOffline(false);
  await grace.state("Connected");
  await grace.sees("#title", "tunnel");
  await grace.hears("Are you there?");
  await ada.hears("Written in the tunnel");
  await grace.tick("Written in the tunnel", "delivered");
  await Promise.all([ada.company("Ada", "Grace"), grace.company("Ada", "Grace")]);
  for (const one of [ada, grace]) {
    assert.equal(await one.page.locator(".message").filter({ hasText: "Are you there?" }).count(), 1);
    assert.equal(await one.page.locator(".message").filter({ hasText: "Written in the tunnel" }).count(), 1);
  }
});
