// Open a page in Chromium as people do: a phone, a tablet, a desk, each light and dark, and on paper.
//
// usage: node check.mjs MODULES PAGE [SHOTS]    MODULES: a node_modules with axe-core and puppeteer-core
//                                               PAGE: an HTML file; SHOTS: a folder for one picture each of phone and desk
//
// Holds: nothing is wider than the window, no request leaves the page, axe-core finds no serious or critical fault. Says
// what does not hold and exits 1, or says one line and exits 0.
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, file, shots] = process.argv.slice(2);
const from = createRequire(join(resolve(modules), "check.js"));
const axe = readFileSync(from.resolve("axe-core/axe.min.js"), "utf8");
const loaded = await import(pathToFileURL(from.resolve("puppeteer-core")).href);
const puppeteer = loaded.default ?? loaded;

const WIDTHS = [360, 800, 1400];
const SCHEMES = ["light", "dark"];
// One picture of each kind is enough to look at.
const PICTURES = { "360 dark": "week-360-dark.png", "800 light": "week-800-light.png", "1400 light": "week-1400-light.png" };
const page_address = pathToFileURL(resolve(file)).href;
const profile = mkdtempSync(join(tmpdir(), "dmarquet-html-"));
const faults = [];

async function look(browser, width, scheme) {
  const name = `${width} ${scheme}`;
  const page = await browser.newPage();
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("request", (request) => {
    if (request.url() !== page_address) faults.push(`${name}: a request left for ${request.url()}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`${name}: the console says ${message.text()}`);
  });
  await page.goto(page_address, { waitUntil: "networkidle0" });
  const wide = await page.evaluate(() => {
    const root = document.documentElement;
    // What scrolls sideways within the page, and can be focused to do so, may be wider than the window.
    const scrolls = (each) => each.tabIndex === 0 && ["auto", "scroll"].includes(getComputedStyle(each).overflowX);
    const within = (each) => each.parentElement && (scrolls(each.parentElement) || within(each.parentElement));
    const over = [...document.querySelectorAll("body *")].find((each) => each.getBoundingClientRect().right > root.clientWidth + 1 && !within(each));
    return { scroll: root.scrollWidth, client: root.clientWidth, over: over && over.outerHTML.slice(0, 120) };
  });
  if (wide.scroll > wide.client || wide.over) {
    faults.push(`${name}: ${wide.scroll} wide in a window of ${wide.client}; beyond the edge: ${wide.over}`);
  }
  if (shots && PICTURES[name]) await page.screenshot({ path: join(shots, PICTURES[name]) });
  // The page's own policy forbids scripts; the protocol's evaluation is not bound by it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  for (const { id, impact, help, nodes } of violations) {
    const line = `${name}: axe-core, ${impact}: ${id}, ${help} (${nodes.length}): ${nodes[0].html.slice(0, 160)}`;
    if (impact === "serious" || impact === "critical") faults.push(line);
    else console.error(line);
  }
  await page.close();
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  userDataDir: profile,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
  ],
});
try {
  for (const width of WIDTHS) for (const scheme of SCHEMES) await look(browser, width, scheme);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
if (faults.length > 0) {
  console.log(faults.join("\n"));
  process.exit(1);
}
console.log(`${WIDTHS.length * SCHEMES.length} views, no fault`);
