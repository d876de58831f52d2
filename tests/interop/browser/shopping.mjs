// The Flask example: what one page adds is on the other at once, and goes from both when it is bought.
// Environment: CLIENT, the npm package's file, which stands in for the CDN.

import { fromTheNpmPackage, play } from "./stage.mjs";

async function open({ page }) {
  await fromTheNpmPackage(page);
  await page.goto(process.env.CHAT_URL);
  await page.getByText("Connected").waitFor();
}

await play(async (person) => {
  const ann = await person("Ann");
  const bo = await person("Bo");
  await open(ann);
  await open(bo);
  await ann.page.getByLabel("What is missing?").fill("Bread <b>and</b> salt");
  await ann.page.getByRole("button", { name: "Add" }).click();
  await Promise.all([ann, bo].map((each) => each.sees("#list", "Bread <b>and</b> salt")));
  await bo.shot("shopping");

  await ann.page.reload(); // who returns gets the list
  await ann.sees("#list", "Bread <b>and</b> salt");

  await bo.page.getByRole("button", { name: "Bought" }).click();
  await Promise.all([ann, bo].map(({ page }) => page.waitForFunction(() => !document.querySelector("#list li"))));
});
