// Opens pages in a headless browser and says what is wrong with them.
//
//     node visit.mjs PLAN.json
//
// The plan: { "chromium": PATH, "shots": FOLDER or null, "pages": [{ "name", "url", "status", "shot", "keyboard" }] }.
// Every page is opened 1280 and 390 pixels wide, light and dark. Wrong is an error on the console, a request to anywhere but the
// page's own server, a page wider than the window, another status than expected, and whatever axe-core finds. Pages with `shot`
// are kept as pictures, and of one with `keyboard` an input is found and opened without a mouse.

import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const WIDTHS = [1280, 390];
const SCHEMES = ["light", "dark"];

const wrong = [];

function watch(page, own, expected, say) {
  page.on("console", (message) => {
    // A page that is not there is an entry on the console; that was asked for.
    const asked = expected !== 200 && message.text().includes(`status of ${expected}`);
    if (["error", "warning"].includes(message.type()) && !asked) say(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => say(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    const inside = url.protocol === "data:" || request.url() === own.href || (own.protocol !== "file:" && url.origin === own.origin);
    if (!inside) say(`asks for ${request.url()}`);
  });
}

async function check(page, say) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (wide > window) say(`${wide} px wide, the window has ${window}`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of found.violations) say(`axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

async function keyboard(page, say) {
  const until = async (is, what) => {
    for (let presses = 0; presses < 80; presses += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(is)) return true;
    }
    say(`keyboard: ${what} is not reached`);
    return false;
  };
  const enter = () => Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  if (!(await until(() => document.activeElement?.name === "text", "the search"))) return;
  await page.keyboard.type("png");
  await enter();
  if (!page.url().includes("text=png")) say(`keyboard: the search led to ${page.url()}`);
  if (!(await until(() => document.activeElement?.getAttribute("href")?.startsWith("/input/"), "an input"))) return;
  await enter();
  if (!new URL(page.url()).pathname.startsWith("/input/")) say(`keyboard: the input led to ${page.url()}`);
}

const browser = await puppeteer.launch({
  executablePath: plan.chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--force-color-profile=srgb"],
});
try {
  for (const { name, url, status = 200, shot = false, keyboard: keys = false } of plan.pages) {
    for (const width of WIDTHS) {
      for (const scheme of SCHEMES) {
        const say = (what) => wrong.push(`${name} (${width} px, ${scheme}): ${what}`);
        const page = await browser.newPage();
        try {
          watch(page, new URL(url), status, say);
          await page.setViewport({ width, height: width > 800 ? 900 : 844 });
          await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
          const response = await page.goto(url, { timeout: 120000 });
          const got = response?.status() || 200;
          if (!url.startsWith("file:") && got !== status) say(`status ${got}, expected ${status}`);
          await check(page, say);
          if (shot && plan.shots) {
            mkdirSync(plan.shots, { recursive: true });
            await page.screenshot({ path: join(plan.shots, `${name}-${width}-${scheme}.png`) });
          }
          if (keys) await keyboard(page, say);
        } finally {
          await page.close();
        }
      }
    }
    console.log(`${name}: visited`);
  }
} finally {
  await browser.close();
}
for (const line of wrong) console.error(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
