// The FastAPI example: an order placed on one page is on the other at once, and goes from both when it is ready.
// Environment: CLIENT, the npm package's file, which stands in for the CDN.

import { fromTheNpmPackage, play } from "./stage.mjs";

async function open({ page }) {
  await fromTheNpmPackage(page);
  await page.goto(process.env.CHAT_URL);
  await page.getByText("Connected").waitFor();
}

await play(async (person) => {
  const waiter = await person("Waiter");
  const cook = await person("Cook");
  await open(waiter);
  await open(cook);
  await waiter.page.getByLabel("Dish").fill("Soup <b>of the day</b>");
  await waiter.page.getByLabel("Table").fill("4");
  await waiter.page.getByRole("button", { name: "Order" }).click();
  const order = "Soup <b>of the day</b>, table 4";
  await Promise.all([waiter.sees("#orders", order), cook.sees("#orders", order)]);
  await cook.shot("kitchen");

  await waiter.page.reload(); // who returns gets the list
  await waiter.sees("#orders", order);

  await cook.page.getByRole("button", { name: "Ready" }).click();
  await Promise.all([waiter, cook].map(({ page }) => page.waitForFunction(() => !document.querySelector("#orders li"))));
});
