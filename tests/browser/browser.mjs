// What the tests of the page share: a Chromium, a page in it that is watched, and small helpers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { startFake } from "./fake_server.mjs";

// The packages are in build/browser, beside no file of the tree; scripts/browser-test.sh says where.
const packages = createRequire(new URL(`file://${process.env.S2A_BROWSER_PACKAGES}/`));
const { chromium } = packages("playwright-core");
const axe = readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");

export const real = process.env.S2A_URL || "";  // the address of a real `s2a serve`
export const slow = real ? 300_000 : 10_000;    // a real model takes its time

// A Chromium; args are options of its command line.
export const launch = (...args) => chromium.launch({
    executablePath: process.env.S2A_CHROMIUM || "/usr/bin/chromium",
    // Its own sandbox does not work for root, who runs tests in containers.
    args: [...args, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});

let browser;
export async function openBrowser() {
    browser = await launch();
}
export const closeBrowser = () => browser.close();

// What tests that failed have left open.
const open = new Set();
export async function closeAll() {
    for (const close of open)
        await close();
}

// A page on a server of its own. leave() fails where anything was asked of another origin, the
// console had an error that is not among `expected`, or the layout moved by itself.
export async function visit({ width = 1280, height = 900, colorScheme = "light", fault = "none",
                              expected = null, ...options } = {}) {
    const fake = real ? null : await startFake();
    if (fake)
        fake.state.fault = fault;
    const url = real || fake.url;
    const close = async () => {
        open.delete(close);
        await context.close();
        if (fake)
            await fake.close();
    };
    const context = await browser.newContext({ viewport: { width, height }, colorScheme,
        permissions: ["clipboard-read", "clipboard-write"], ...options });
    open.add(close);
    const page = await context.newPage();
    page.setDefaultTimeout(slow);
    const wrong = [];
    page.on("console", (m) => {
        if (["error", "warning"].includes(m.type()) && !(expected && expected.test(m.text())))
            wrong.push(`console: ${m.text()}`);
    });
    page.on("pageerror", (e) => wrong.push(`page: ${e.message}`));
    page.on("request", (r) => {
        if (new URL(r.url()).origin !== new URL(url).origin && !r.url().startsWith("data:"))
            wrong.push(`request to ${r.url()}`);
    });
    await page.addInitScript(() => {
        window.moved = [];
        new PerformanceObserver((list) => {
            for (const e of list.getEntries())
                if (!e.hadRecentInput)
                    window.moved.push(e.value);
        }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(url);
    const leave = async () => {
        await close();
        assert.deepEqual(wrong, []);
    };
    return { page, url, fake: fake && fake.state, stopServer: fake && fake.close, leave };
}

export const text = (page, id) => page.evaluate((i) => document.getElementById(i).textContent, id);

export const wait = (page, id, pattern, timeout = slow) => page.waitForFunction(
    ([i, p]) => new RegExp(p, "u").test(document.getElementById(i).textContent), [id, pattern.source],
    { timeout });

export const ready = (page) => wait(page, "status", /^Ready\.$/);
export const ended = (page) => wait(page, "status", /^(Done|Stopped|Failed|One answer failed)/);

// Asks and waits for the end.
export async function compare(page, prompt) {
    await page.fill("#prompt", prompt);
    await page.click("#compare");
    await ended(page);
}

// What the page shows of the prompt: the text without the words for screen readers, and the
// parts that are struck through.
export const marked = (page) => page.evaluate(() => {
    const copy = document.getElementById("marked").cloneNode(true);
    copy.querySelectorAll(".unseen").forEach((e) => e.remove());
    return { text: copy.textContent, removed: [...copy.querySelectorAll("del")].map((e) => e.textContent),
             asked: [...copy.querySelectorAll(".asked")].map((e) => e.textContent),
             whole: [...copy.querySelectorAll(".whole")].map((e) => e.textContent) };
});

export async function moveThreshold(page, value) {
    await page.fill("#threshold", String(value));
}

// The rules of axe-core that the page breaks, with where.
export async function violations(page) {
    await page.evaluate(axe);
    return page.evaluate(async () => {
        const found = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
            "wcag22aa", "best-practice"] });
        return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`)
            .join("; ")}`);
    });
}
