// The server goes away and comes back: both pages say so, and both people are back in their room without a click.

import { ask, play } from "./stage.mjs";

await play(async (person) => {
  const ada = await person("Ada");
  const grace = await person("Grace");
  await ada.arrive("phoenix");
  await grace.arrive("phoenix");
  await ada.say("Before");
  await grace.hears("Before");

  await ask("stop");
  await Promise.all([ada.state("Reconnecting"), grace.state("Reconnecting")]);
  await ada.say("While it was down");
  await ada.tick("While it was down", "sending");
  await ask("start");

  await Promise.all([ada.state("Connected"), grace.state("Connected")]);
  await Promise.all([ada.company("Ada", "Grace"), grace.company("Ada", "Grace")]);
  await grace.hears("Before"); // the page still has it
  await grace.hears("While it was down");
  await grace.say("After");
  await ada.hears("After");
  await grace.tick("After", "delivered");
});
