// The Django example: two people sign in, see each other come, speak to each other and to everybody.
// Environment: CLIENT, the npm package's file, which stands in for the CDN; PASSWORD, which both have.

import { fromTheNpmPackage, play } from "./stage.mjs";

async function signIn({ page }, name) {
  await fromTheNpmPackage(page);
  await page.goto(process.env.CHAT_URL);
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("Password").fill(process.env.PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Connected").waitFor();
}

async function tell({ page }, whom, text) {
  await page.getByLabel("Whom?").fill(whom);
  await page.getByLabel("What?").fill(text);
  await page.getByRole("button", { name: "Tell" }).click();
}

await play(async (person) => {
  const ann = await person("Ann");
  const bo = await person("Bo");
  await signIn(ann, "ann");
  await signIn(bo, "bo");
  await ann.sees("#told", "bo has come in");
  await tell(ann, "bo", "Lunch <b>now</b>?");
  await bo.sees("#told", "ann: Lunch <b>now</b>?");
  await ann.page.getByText("Told", { exact: true }).waitFor();
  await tell(bo, "", "Lunch!");
  await Promise.all([ann, bo].map((each) => each.sees("#told", "bo: Lunch!")));
  await bo.shot("office");
  await tell(bo, "nobody", "Hello?");
  await bo.page.getByText("Nobody was told.").waitFor();

  await bo.page.getByRole("button", { name: "Sign out" }).click();
  await bo.page.getByRole("button", { name: "Sign in" }).waitFor();
});
