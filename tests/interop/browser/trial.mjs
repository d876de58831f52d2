// Two people behind a balancer, with three nodes and a Celery worker: they talk, hear the worker, and lose a node.

import { ask, play } from "./stage.mjs";

await play(async (person) => {
  const ada = await person("Ada");
  const grace = await person("Grace");
  await ada.arrive("lobby");
  await grace.arrive("lobby");
  await ada.say("Anybody there?");
  await grace.hears("Anybody there?");
  await ask("heard"); // the first message: the test looks at its watch
  await grace.say("Yes, over here");
  await ada.hears("Yes, over here");
  await ada.tick("Anybody there?", "delivered");
  await ada.sees("#cluster", "2 online on 3 nodes");

  await ask("worker"); // a task emits to the room
  await Promise.all([ada.hears("hello from a worker"), grace.hears("hello from a worker")]);

  const [, tag] = /^Node (\S+)/.exec(await ada.page.locator("#cluster").textContent());
  await ask(`kill ${tag}`);
  await ada.say("Said while it was down");
  await grace.hears("Said while it was down");
  await ada.state("Connected");
  await grace.say("Welcome back");
  await ada.hears("Welcome back");
  await ada.shot("trial-ada");
});
