// What a web page may do to an s2a serve on this machine: a real Chromium on a page of a second origin, and
// under a name that was made to lead here (DNS rebinding), against a real server with a scripted model.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";

const s2a = process.env.S2A_BIN || new URL("../../build/release/s2a", import.meta.url).pathname;
const strange = "rebound.example"; // Chromium is told that it is 127.0.0.1

let browser, folder;

before(async () => {
    folder = mkdtempSync(join(tmpdir(), "s2a-origin-"));
    writeFileSync(join(folder, "replay.txt"), Array(50).fill("An answer.").join("\n%%\n") + "\n");
    browser = await launch(`--host-resolver-rules=MAP ${strange} 127.0.0.1`);
});

after(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
});

// s2a serve on a free port; say(path) asks it as a program does, which sends no Origin.
async function startServe(...options) {
    const child = spawn(s2a, ["serve", "--port", "0", "--backend", "script", "--model", join(folder, "replay.txt"), ...options],
                        { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, XDG_CACHE_HOME: folder, XDG_CONFIG_HOME: folder } });
    const first = await new Promise((done, fail) => {
        child.stdout.once("data", (data) => done(String(data)));
        child.once("exit", (code) => fail(new Error(`s2a serve ended with ${code}`)));
    });
    const base = first.trim().replace(/\/v1$/, "");
    return {
        base,
        port: new URL(base).port,
        // Chat completions that were worked on.
        async done() {
            const text = await (await fetch(`${base}/metrics`)).text();
            return (text.match(/^s2a_requests_total\{[^}]*chat[^}]*status="200"[^}]*\} (\d+)/m) || [0, "0"])[1];
        },
        stop: () => new Promise((ended) => {
            child.once("exit", ended);
            child.kill();
        }),
    };
}

// A page of nothing, on an origin of its own.
async function startPage() {
    const server = createServer((request, response) => {
        response.setHeader("Content-Type", "text/html");
        response.end("<!doctype html><title>another</title><iframe name=frame></iframe>");
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return { url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((done) => server.close(done)) };
}

const body = JSON.stringify({ model: "s2a-replay.txt", messages: [{ role: "user", content: "Why?" }] });

// fetch in the page: "STATUS TEXT", or "blocked" where the page is told nothing.
const ask = (page, url, init) => page.evaluate(async ([u, i]) => {
    try {
        const answer = await fetch(u, i);
        return answer.type === "opaque" ? "opaque" : `${answer.status} ${await answer.text()}`;
    } catch {
        return "blocked";
    }
}, [url, init]);

async function visit(url, run) {
    const context = await browser.newContext();
    const page = await context.newPage();
    try {
        const answer = await page.goto(url);
        await run(page, answer);
    } finally {
        await context.close();
    }
}

test("a page of another origin reads nothing and has nothing done", async () => {
    const serve = await startServe(), other = await startPage();
    const chat = `${serve.base}/v1/chat/completions`;
    try {
        await visit(other.url, async (page) => {
            assert.equal(await ask(page, `${serve.base}/v1/models`), "blocked");
            assert.equal(await ask(page, `${serve.base}/metrics`), "blocked");
            assert.equal(await ask(page, chat, { method: "POST", headers: { "Content-Type": "application/json" }, body }), "blocked");
            for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
                assert.equal(await ask(page, chat, { method: "POST", headers: { "Content-Type": type }, body }), "blocked");
                assert.equal(await ask(page, chat, { method: "POST", mode: "no-cors", headers: { "Content-Type": type }, body }), "opaque");
            }
            assert.equal(await page.evaluate(([u, b]) => navigator.sendBeacon(u, b), [chat, body]), true);
            // a form needs no script at all
            const posted = page.waitForResponse((r) => r.url() === chat && r.request().isNavigationRequest());
            await page.evaluate(([u, b]) => {
                const form = document.createElement("form");
                Object.assign(form, { method: "post", action: u, enctype: "text/plain", target: "frame" });
                const field = document.createElement("input");
                Object.assign(field, { name: b.slice(0, -1) + ',"x":"', value: '"}' });
                form.append(field);
                document.body.append(form);
                form.submit();
            }, [chat, body]);
            assert.equal((await posted).status(), 403);
        });
        assert.equal(await serve.done(), "0");
    } finally {
        await serve.stop();
        await other.stop();
    }
});

test("a page of a name that leads to this machine is refused", async () => {
    const serve = await startServe(), chat = `http://${strange}:${serve.port}/v1/chat/completions`;
    try {
        await visit(`http://${strange}:${serve.port}/`, async (page, answer) => {
            assert.equal(answer.status(), 403);
            const said = await ask(page, chat, { method: "POST", headers: { "Content-Type": "application/json" }, body });
            assert.match(said, /^(403 |blocked)/);
        });
        assert.equal(await serve.done(), "0");
    } finally {
        await serve.stop();
    }
});

test("the server's own page, and one of --allow-origin, may ask and read", async () => {
    const other = await startPage();
    const serve = await startServe("--allow-origin", other.url), chat = `${serve.base}/v1/chat/completions`;
    const json = { method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer none", "X-S2A": "off" }, body };
    try {
        for (const from of [other.url, `${serve.base}/`, `http://localhost:${serve.port}/`])
            await visit(from, async (page) => {
                const to = from === other.url ? chat : `${new URL(from).origin}/v1/chat/completions`;
                assert.match(await ask(page, to, json), /^200 .*An answer\./s);
                const streamed = { ...json, body: body.replace("{", '{"stream":true,') };
                assert.match(await ask(page, to, streamed), /^200 .*data: \[DONE\]/s);
            });
        assert.equal(await serve.done(), "6");
        const third = await startPage();
        await visit(third.url, async (page) => assert.equal(await ask(page, chat, json), "blocked"));
        await third.stop();
        assert.equal(await serve.done(), "6");
    } finally {
        await serve.stop();
        await other.stop();
    }
});
