// Without the npm package the page takes the client from the CDN, and only the very file that it knows.
// Environment: CLIENT, the npm package's file, which stands in for the CDN.

import { readFileSync } from "node:fs";
import { play } from "./stage.mjs";

const file = readFileSync(process.env.CLIENT, "utf8");

async function withoutPackage({ page }, body) {
  await page.route("**/vendor/*", (route) => route.fulfill({ status: 404, body: "Not Found" }));
  const headers = { "content-type": "text/javascript", "access-control-allow-origin": "*" };
  await page.route("https://cdn.jsdelivr.net/**", (route) => route.fulfill({ headers, body }));
}

await play(async (person) => {
  const ada = await person("Ada");
  await withoutPackage(ada, file);
  await ada.arrive("library");

  const grace = await person("Grace");
  await withoutPackage(grace, `${file}\n// and a little more`);
  await grace.join("library");
  await grace.sees("#problem", "cannot be loaded");
});
