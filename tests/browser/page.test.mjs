// The page of `s2a serve` in a Chromium: against fake_server.mjs, or, with S2A_URL, against a real
// server; then the tests that need a certain answer or a fault of the server are skipped.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { closeAll, closeBrowser, compare, ended, marked, moveThreshold, openBrowser, ready, real, text,
         violations, visit, wait } from "./browser.mjs";
import { cases, promptOf, selected } from "./cases.mjs";
import { withHashes } from "./csp.mjs";

const fakeOnly = { skip: real ? "needs the fake server" : false };
const top = new URL("../../", import.meta.url);
const opinion = promptOf(cases.opinion);
const chats = (state) => state.log.filter((e) => e.path === "/v1/chat/completions");

before(openBrowser);
afterEach(closeAll);
after(closeBrowser);

// ---- the policy ------------------------------------------------------------------------------------

test("the hashes of the policy are those of the style and the script", () => {
    const page = readFileSync(new URL("web/index.html", top), "utf8");
    assert.equal(page, withHashes(page), "run node tests/browser/csp.mjs --write");
});

test("the page names nothing that is elsewhere, and no handler or style in an attribute", () => {
    const page = readFileSync(new URL("web/index.html", top), "utf8");
    assert.doesNotMatch(page.replaceAll("http://www.w3.org/2000/svg", ""), /(src|href)\s*=\s*["']?(https?:)?\/\//);
    assert.doesNotMatch(page, /<[^>]*\s(on[a-z]+|style)\s*=/);
    assert.doesNotMatch(page, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
});

test("a script that somebody slips in does not run", async () => {
    const v = await visit({ expected: /Content Security Policy|TrustedScript/ });
    await ready(v.page);
    const ran = await v.page.evaluate(() => {
        const script = document.createElement("script");
        try {
            script.text = "window.slipped = 1";
        } catch { /* Trusted Types: so it should be */ }
        document.body.append(script);
        return Boolean(window.slipped);
    });
    assert.equal(ran, false);
    await v.leave();
});

// ---- the flow ---------------------------------------------------------------------------------------

test("asks with and without S2A, and shows both answers and the cut", async () => {
    const v = await visit();
    await ready(v.page);
    await v.page.click("text=Opinion: an author");
    await v.page.click("#compare");
    await ended(v.page);
    assert.match(await text(v.page, "status"), /^Done/);
    assert.equal(await text(v.page, "alert"), "");
    assert.equal((await marked(v.page)).text, opinion);
    for (const id of ["plain", "s2a", "rewritten"])
        assert.notEqual(await text(v.page, id), "");
    for (const id of ["plain-figures", "s2a-figures"])
        assert.match(await text(v.page, id), /^[\d,]+ ms.*\s· first token [\d,]+ ms\s· \d+ tokens in.*\s· \d+ out/);
    assert.match(await text(v.page, "s2a-figures"), /\s· step 1 [\d,]+ ms\s· step 2 [\d,]+ ms/);
    await v.leave();
});

test("sends what the protocol says", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await v.page.selectOption("#mode", "rewrite");
    await v.page.selectOption("#preset", "relevance");
    await v.page.selectOption("#model", "other/model:7b");
    await compare(v.page, opinion);
    const [plain, s2a] = chats(v.fake).map((e) => e.body).sort((a, b) => a.model.length - b.model.length);
    const common = { messages: [{ role: "user", content: opinion }], stream: true, temperature: 0,
                     stream_options: { include_usage: true } };
    assert.deepEqual(plain, { ...common, model: "other/model:7b" });
    assert.deepEqual(s2a, { ...common, model: "s2a-other/model:7b",
        s2a: { mode: "rewrite", preset: "relevance", show: "reasoning_content", explain: true } });
    assert.equal(chats(v.fake)[0].key, null);
    await v.leave();
});

test("preset untrusted and mode rewrite rule each other out", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    const disabled = (id, value) => v.page.$eval(`#${id} option[value="${value}"]`, (o) => o.disabled);
    await v.page.selectOption("#mode", "rewrite");
    assert.equal(await disabled("preset", "untrusted"), true);
    // The example with an order in it asks for what finds orders, and the next example no longer does.
    const example = (name) => v.page.click(`#examples button:has-text("${name}")`);
    await example("An order in a mail");
    assert.equal(await v.page.inputValue("#preset"), "untrusted");
    assert.equal(await v.page.inputValue("#mode"), "select");
    assert.equal(await disabled("mode", "rewrite"), true);
    assert.equal(await disabled("preset", "untrusted"), false);
    await v.page.click("#compare");
    await ended(v.page);
    const sent = chats(v.fake).map((e) => e.body).find((b) => b.s2a);
    assert.deepEqual(sent.s2a, { mode: "select", preset: "untrusted", show: "reasoning_content", explain: true });
    assert.match(sent.messages[0].content, /banana/);
    await example("Maths");
    assert.equal(await v.page.inputValue("#preset"), "auto");
    assert.equal(await disabled("mode", "rewrite"), false);
    await v.page.selectOption("#preset", "relevance");
    await example("Argument");
    assert.equal(await v.page.inputValue("#preset"), "relevance");
    await v.leave();
});

for (const [name, c] of Object.entries(cases)) {
    test(`case ${name}: bytes, x' and answers`, fakeOnly, async () => {
        const v = await visit();
        await ready(v.page);
        await compare(v.page, promptOf(c));
        const result = selected(c), shown = await marked(v.page);
        assert.equal(shown.text, promptOf(c));
        assert.deepEqual(shown.removed, c.units.filter((u, i) => !result.units[i].kept).map((u) => u[0].trimEnd()));
        assert.deepEqual(shown.asked, c.units.filter((u) => u[1] === "question").map((u) => u[0].trimEnd()));
        assert.deepEqual(shown.whole, (c.whole || []).map((i) => c.units[i][0].trimEnd()));
        assert.equal(await text(v.page, "rewritten"), c.rewritten);
        assert.equal(await text(v.page, "plain"), c.plain);
        assert.equal(await text(v.page, "s2a"), c.s2a);
        assert.equal(await v.page.evaluate(() => window.broken), undefined);
        // the page puts x' together as the server does
        const composed = await v.page.evaluate((r) => {
            const units = unitsOf(r);
            return compose(units, units.map((u) => u.kept));
        }, result);
        assert.equal(composed, c.rewritten);
        await v.leave();
    });
}

test("a real server's x' is put together by the page byte for byte",
    { skip: real ? false : "needs a real server" }, async () => {
        const v = await visit();
        await ready(v.page);
        await compare(v.page, `${promptOf(cases.emoji)} 🙂`);
        const [served, composed] = await v.page.evaluate(() => {
            const r = state.result, units = unitsOf(r);
            return [r.rewritten, units.length === 0 || r.mode !== "select" ? r.rewritten
                : compose(units, units.map((u) => u.kept))];
        });
        assert.equal(composed, served);
        await v.leave();
    });

test("mode rewrite: removed text is marked, and there is nothing to cut again", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await v.page.selectOption("#mode", "rewrite");
    await compare(v.page, opinion);
    assert.deepEqual((await marked(v.page)).removed, [cases.opinion.units[0][0].trimEnd()]);
    assert.equal(await v.page.isDisabled("#threshold"), true);
    assert.match(await text(v.page, "cut-said"), /% of the bytes removed\. There are no scores/);
    await v.leave();
});

test("an s2a object that comes right after step 1 is shown before the answer", fakeOnly, async () => {
    const v = await visit({ fault: "early-result" });
    await ready(v.page);
    v.fake.delay = 60;
    await v.page.fill("#prompt", promptOf(cases.emoji));
    await v.page.click("#compare");
    await wait(v.page, "cut-said", /1 of 4 units removed/);
    assert.equal(await v.page.getAttribute("#compare", "aria-disabled"), "true");
    await ended(v.page);
    await v.leave();
});

test("a fallback is said, and nothing is marked", fakeOnly, async () => {
    const v = await visit({ fault: "fallback" });
    await ready(v.page);
    await compare(v.page, opinion);
    assert.match(await text(v.page, "cut-said"), 
        /^Step 1 was not used: step 1 failed \(the context is 8192 tokens\)\. The prompt was answered as it is\.$/);
    assert.equal(await text(v.page, "rewritten"), opinion);
    assert.deepEqual((await marked(v.page)).removed, []);
    assert.equal(await v.page.isDisabled("#threshold"), true);
    await v.leave();
});

test("an answer that is cut at the token limit is said to be", fakeOnly, async () => {
    const v = await visit({ fault: "length" });
    await ready(v.page);
    await compare(v.page, opinion);
    assert.match(await text(v.page, "plain-figures"), /cut at the token limit/);
    await v.leave();
});

// ---- the threshold ----------------------------------------------------------------------------------

test("moving the threshold cuts again without a request", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.emoji));
    const before = v.fake.log.length, [love, boxes, cards, ask] = cases.emoji.units.map((u) => u[0]);
    assert.equal(await v.page.getAttribute("#again", "aria-disabled"), "true");
    await moveThreshold(v.page, 1);
    assert.equal(await text(v.page, "rewritten"), boxes + ask);
    assert.deepEqual((await marked(v.page)).removed, [love.trim(), cards.trim()]);
    assert.match(await text(v.page, "stale"), /belongs to another cut/);
    assert.match(await v.page.getAttribute("#threshold", "aria-valuetext"), /^\+1\.0, 2 of 4 units kept$/);
    await moveThreshold(v.page, 0.4);
    assert.equal(await text(v.page, "rewritten"), cases.emoji.rewritten); // at the score itself: kept
    assert.equal(await text(v.page, "stale"), "");
    await moveThreshold(v.page, 0.5);
    assert.equal(await text(v.page, "rewritten"), boxes + ask);
    await moveThreshold(v.page, -7);
    assert.equal(await text(v.page, "rewritten"), promptOf(cases.emoji));
    assert.match(await text(v.page, "cut-said"), /^All 4 units kept/);
    await v.page.press("#threshold", "End");
    assert.equal(await text(v.page, "rewritten"), ask);
    await v.page.click("#reset");
    assert.equal(await text(v.page, "rewritten"), cases.emoji.rewritten);
    assert.equal(await v.page.inputValue("#threshold"), "0");
    assert.equal(v.fake.log.length, before);
    await v.leave();
});

test("what the server kept without a score stays, and what is asked", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.code));
    await v.page.press("#threshold", "End");
    assert.equal(await text(v.page, "rewritten"), "```c\nint x = 1;\n```\n\nWhat is x?");
    assert.equal((await v.page.$$("#units tr")).length, 6);
    assert.match(await text(v.page, "units"), /noneneededyes \(in any case\)/);
    await v.leave();
});

test("a question that stands first stays there; the slider begins at the server's border", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.clean));
    assert.equal(await text(v.page, "rewritten"), "Who wrote it? The poem is from 1855.");
    await compare(v.page, promptOf(cases.questionFirst));
    assert.equal(await v.page.inputValue("#threshold"), "-2");
    assert.doesNotMatch(await codeOf(v.page, "c"), /threshold/);
    await moveThreshold(v.page, -3);
    assert.equal(await text(v.page, "rewritten"), promptOf(cases.questionFirst));
    await moveThreshold(v.page, 0);
    assert.equal(await text(v.page, "rewritten"), "Who wrote it?");
    assert.match(await codeOf(v.page, "c"), /s2a_request_set_threshold\(request, 0\.0, &err\)/);
    await v.leave();
});

test("where nothing is asked no threshold cuts", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.nothingAsked));
    await v.page.press("#threshold", "End");
    assert.equal(await text(v.page, "rewritten"), promptOf(cases.nothingAsked));
    await v.leave();
});

test("a cut can be answered: x' goes to the plain model", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.emoji));
    await moveThreshold(v.page, 1);
    const x = await text(v.page, "rewritten");
    await v.page.click("#again");
    await wait(v.page, "status", /^Done\. The answer belongs to this cut/);
    assert.deepEqual(chats(v.fake).at(-1).body, { model: "tiny-1.5b", stream: true, temperature: 0,
        messages: [{ role: "user", content: x }], stream_options: { include_usage: true } });
    assert.equal(chats(v.fake).length, 3);
    assert.equal(await text(v.page, "s2a"), `You asked: ${x}`);
    assert.equal(await text(v.page, "answer-of"), "from x′ cut at +1.0");
    assert.equal(await v.page.getAttribute("#again", "aria-disabled"), "true");
    await moveThreshold(v.page, 0);
    assert.match(await text(v.page, "stale"), /belongs to another cut/);
    assert.equal(await v.page.getAttribute("#again", "aria-disabled"), "false");
    await v.leave();
});

// ---- stop -------------------------------------------------------------------------------------------

test("Stop ends both requests and keeps what came", async () => {
    const v = await visit({ fault: "hang" });
    await ready(v.page);
    await v.page.fill("#prompt", real ? "Count from 1 to 500 in words." : opinion);
    await v.page.click("#compare");
    await wait(v.page, "plain", /\S/);
    await v.page.click("#stop");
    await wait(v.page, "status", /^Stopped\.$/, 2000);
    assert.equal(await text(v.page, "alert"), "");
    assert.notEqual(await text(v.page, "plain"), "");
    assert.equal(await v.page.getAttribute("#compare", "aria-disabled"), "false");
    if (v.fake) {
        for (let i = 0; i < 100 && !chats(v.fake).every((e) => e.aborted); i++)
            await new Promise((done) => setTimeout(done, 10));
        assert.deepEqual(chats(v.fake).map((e) => e.aborted), [true, true]);
    }
    await v.leave();
});

test("while one comparison runs, a second is not begun", fakeOnly, async () => {
    const v = await visit({ fault: "hang" });
    await ready(v.page);
    await v.page.fill("#prompt", opinion);
    await v.page.press("#prompt", "Control+Enter");
    await v.page.press("#prompt", "Control+Enter");
    await v.page.click("#compare", { force: true });
    await wait(v.page, "s2a", /\S/);
    assert.equal(chats(v.fake).length, 2);
    await v.page.keyboard.press("Escape");
    await wait(v.page, "status", /^Stopped/, 2000);
    await v.leave();
});

// ---- faults -----------------------------------------------------------------------------------------

const loads = /Failed to load resource/;
const faults = [
    ["bad-request", /^The server refused the request: 400: messages: the prompt is too long$/],
    ["event-error", /^The server failed while it answered: the upstream hung up$/],
    ["early-end", /^The answer broke off: the connection ended before the end of the answer/],
    ["reset", /^The answer broke off/],
    ["not-json", /^The server failed while it answered: it sent what is not JSON: \{oops$/],
    ["html", /^The server failed while it answered: it sent text\/html where a stream was due$/],
];
for (const [fault, said] of faults) {
    test(`fault ${fault}: one clear line, and the page goes on`, fakeOnly, async () => {
        const v = await visit({ expected: loads });
        await ready(v.page);
        v.fake.fault = fault;
        await compare(v.page, opinion);
        assert.match(await text(v.page, "alert"), said);
        assert.match(await text(v.page, "s2a-fault"), said);
        assert.match(await text(v.page, "plain-fault"), said);
        assert.equal(await text(v.page, "status"), "Failed.");
        v.fake.fault = "none";
        await compare(v.page, opinion);
        assert.match(await text(v.page, "status"), /^Done/);
        assert.equal(await text(v.page, "alert") + await text(v.page, "s2a-fault"), "");
        await v.leave();
    });
}

test("one side that fails is named, and the other's answer stands", fakeOnly, async () => {
    const v = await visit({ fault: "event-error" });
    await ready(v.page);
    await compare(v.page, promptOf(cases.chinese)); // the plain answer ends before the fault
    assert.equal(await text(v.page, "alert"), "");
    await compare(v.page, promptOf(cases.rtl));
    assert.equal(await text(v.page, "alert"),
        "With S2A: The server failed while it answered: the upstream hung up");
    assert.equal(await text(v.page, "plain"), cases.rtl.plain);
    assert.equal(await text(v.page, "status"), "One answer failed.");
    await v.leave();
});

test("a server that is away is said, for the list and for a request", fakeOnly, async () => {
    const v = await visit({ expected: loads });
    await ready(v.page);
    await v.stopServer();
    await compare(v.page, opinion);
    assert.match(await text(v.page, "alert"), /^The server does not answer\. Start s2a serve at http:/);
    await v.page.click("#settings summary");
    await v.page.click("#reload");
    await wait(v.page, "status", /^Not ready/);
    assert.match(await text(v.page, "alert"), /^The server does not answer/);
    await v.leave();
});

test("401 asks for the key, which is kept for the tab alone and never copied", fakeOnly, async () => {
    const v = await visit({ fault: "needs-key", expected: loads });
    await wait(v.page, "status", /^Not ready/);
    assert.match(await text(v.page, "alert"), /asks for an API key \(401\)/);
    assert.equal(await v.page.evaluate(() => document.activeElement.id), "key");
    await v.page.keyboard.type("geheim");
    await v.page.keyboard.press("Enter");
    await ready(v.page);
    await compare(v.page, opinion);
    assert.match(await text(v.page, "status"), /^Done/);
    assert.ok(chats(v.fake).every((e) => e.key === "Bearer geheim"));
    assert.match(await text(v.page, "code"), /-H "Authorization: Bearer \$S2A_API_KEY"/);
    assert.doesNotMatch(await text(v.page, "code"), /geheim/);
    assert.deepEqual(await v.page.evaluate(() => [{ ...sessionStorage }, Object.values({ ...localStorage })]),
        [{ "s2a-key": "geheim" }, ["auto"]]);
    await v.page.reload();
    await ready(v.page);
    await v.leave();
});

test("401 during a request asks for the key too", fakeOnly, async () => {
    const v = await visit({ expected: loads });
    await ready(v.page);
    v.fake.fault = "needs-key";
    await compare(v.page, opinion);
    assert.match(await text(v.page, "alert"), /asks for an API key/);
    assert.equal(await v.page.evaluate(() => document.activeElement.id), "key");
    await v.leave();
});

test("no models, or no list of them", fakeOnly, async () => {
    const v = await visit({ fault: "models-empty", expected: loads });
    await wait(v.page, "status", /^Not ready/);
    assert.match(await text(v.page, "alert"), /it has no models\. Give s2a serve a model/);
    await v.page.fill("#prompt", opinion);
    await v.page.click("#compare");
    assert.equal(await text(v.page, "alert"), "There is no model to ask. Load the models again.");
    assert.equal(await v.page.evaluate(() => document.activeElement.id), "reload");
    v.fake.fault = "models-500";
    await v.page.keyboard.press("Enter");
    await wait(v.page, "alert", /500: no memory left/);
    v.fake.fault = "none";
    await v.page.keyboard.press("Enter");
    await ready(v.page);
    await v.leave();
});

test("spans that do not fit are refused, and the answers stand", fakeOnly, async () => {
    const v = await visit({ fault: "bad-spans" });
    await ready(v.page);
    await compare(v.page, promptOf(cases.emoji));
    assert.match(await text(v.page, "alert"), /^The server sent spans that do not fit the prompt: /);
    assert.deepEqual((await marked(v.page)), { text: promptOf(cases.emoji), removed: [], asked: [], whole: [] });
    assert.equal(await text(v.page, "s2a"), cases.emoji.s2a);
    await v.leave();
});

test("an empty prompt is not sent", async () => {
    const v = await visit();
    await ready(v.page);
    await v.page.fill("#prompt", " \n ");
    await v.page.click("#compare");
    assert.equal(await text(v.page, "alert"), "The prompt is empty. Write or paste one.");
    assert.equal(await v.page.evaluate(() => document.activeElement.id), "prompt");
    await v.leave();
});

// ---- small parts ------------------------------------------------------------------------------------

test("events: comments, CRLF, CR, several data lines, any cut", async () => {
    const v = await visit();
    await ready(v.page);
    const wire = ": one\n\ndata: a\r\ndata:b\r\n\r\nevent: x\ndata:  c \n\n\n\ndata: d\r\rdata\n\nid: 1\n\ndata: lost";
    const got = await v.page.evaluate((w) => {
        const all = [];
        for (let cut = 0; cut <= w.length; cut++) {
            const events = [], push = eventParser((d) => events.push(d));
            push(w.slice(0, cut));
            push(w.slice(cut));
            all.push(JSON.stringify(events));
        }
        return [...new Set(all)];
    }, wire);
    assert.deepEqual(got, [JSON.stringify(["a\nb", " c ", "d", ""])]);
    await v.leave();
});

test("limits: the length of an event, the rows of the table", async () => {
    const v = await visit();
    await ready(v.page);
    const [fits, passed, rows] = await v.page.evaluate(() => {
        const attempt = (n) => {
            const push = eventParser(() => {});
            try {
                push("data:" + "x".repeat(n - 5));
                return "ok";
            } catch (e) {
                return explain(e);
            }
        };
        const rowsOf = (n) => {
            state.result = { input: "", rewritten: "" };
            state.units = Array.from({ length: n }, () => ({ text: "a ", bytes: 2, kept: true, label: "needed", score: 1 }));
            return unitRows(state.units.map(() => true), 0).map((r) => r.textContent);
        };
        return [attempt(LIMIT_EVENT_CHARS), attempt(LIMIT_EVENT_CHARS + 1),
            [rowsOf(LIMIT_TABLE_ROWS), rowsOf(LIMIT_TABLE_ROWS + 1)].map((r) => [r.length, r.at(-1)])];
    });
    assert.equal(fits, "ok");
    assert.match(passed, /an event of the stream is longer than 64 Mi characters/);
    assert.deepEqual(rows, [[1000, "1000a+1.0neededyes"], [1001, "and 1 unit more"]]);
    await v.leave();
});

// Before the units were put in at once and in blocks, this took minutes.
test("a megabyte in 20,000 units is cut again within seconds", async () => {
    const v = await visit();
    await ready(v.page);
    const [took, shown, cut, whole] = await v.page.evaluate(() => {
        const unit = "This is a sentence of about fifty bytes, more or less. ", n = 20000;
        const units = Array.from({ length: n }, (_, i) => ({ start: i * unit.length, end: (i + 1) * unit.length,
            kept: i % 2 > 0, label: "needed", score: i % 2 ? 2.5 : -3 }));
        const begun = performance.now();
        takeResult({ input: unit.repeat(n), rewritten: unit.repeat(n / 2), question: null, units });
        document.getElementById("threshold").value = -4;
        showCut();
        document.body.getBoundingClientRect();
        return [performance.now() - begun, document.querySelectorAll("#marked .unit").length, state.cut.length,
            document.getElementById("rewritten").textContent === state.cut];
    });
    assert.deepEqual([shown, cut, whole], [20000, 20000 * 55, true]);
    assert.ok(took < 15_000, `${Math.round(took)} ms`);
    await v.leave();
});

test("models: with or without the prefix, and names that begin with it themselves", async () => {
    const v = await visit();
    await ready(v.page);
    const names = (ids) => v.page.evaluate((i) => [...modelNames(i)], ids);
    assert.deepEqual(await names(["a", "s2a-a"]), [["a", "s2a-a"]]);
    assert.deepEqual(await names(["s2a-a", "a"]), [["a", "s2a-a"]]);
    assert.deepEqual(await names(["s2a-a"]), [["a", "s2a-a"]]);
    assert.deepEqual(await names(["a"]), [["a", "a"]]);
    assert.deepEqual(await names(["s2a-b", "s2a-s2a-b"]), [["s2a-b", "s2a-s2a-b"]]);
    assert.deepEqual(await names(["s2a-"]), [["s2a-", "s2a-"]]);
    assert.deepEqual(await names([]), []);
    await v.leave();
});

// ---- code to copy -----------------------------------------------------------------------------------

const has = (tool) => {
    try {
        return Boolean(execFileSync("sh", ["-c", `command -v ${tool}`]));
    } catch {
        return false;
    }
};

// What is hard to write in a shell, in Python and in C.
const nasty = `${promptOf(cases.hostile)}\n\ttab "q" 'a' \\n \\\\ ??/ ???= $HOME \`id\` \u0001 \u2028 ${promptOf(cases.emoji)}\n`;

async function codeOf(page, language) {
    await page.check(`input[value=${language}]`);
    await page.click("#copy");
    await wait(page, "copied", /^Copied\.$/);
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, await text(page, "code"));
    return copied;
}

test("curl, Python and C say the same prompt, whatever is in it", async () => {
    const v = await visit();
    const work = mkdtempSync(join(tmpdir(), "s2a-browser."));
    try {
        await ready(v.page);
        await v.page.fill("#prompt", nasty);
        await v.page.selectOption("#mode", "select");
        const curl = await codeOf(v.page, "curl");
        const body = JSON.parse(execFileSync("bash", ["-c", `curl() { printf %s "\${!#}"; }\n${curl}`], { encoding: "utf8" }));
        assert.equal(body.messages[0].content, nasty);
        assert.deepEqual(body.s2a, { mode: "select", preset: "auto", show: "reasoning_content" });
        const python = await codeOf(v.page, "python");
        assert.match(python, /base_url="http:.*\/v1"/);
        if (has("python3")) {
            const show = "import ast, sys\nfor n in ast.walk(ast.parse(sys.stdin.read())):\n" +
                "    if isinstance(n, ast.keyword) and n.arg == 'messages':\n" +
                "        sys.stdout.buffer.write(ast.literal_eval(n.value)[0]['content'].encode())";
            assert.equal(execFileSync("python3", ["-c", show], { input: python, encoding: "utf8" }), nasty);
        }
        const c = await codeOf(v.page, "c");
        assert.match(c, /s2a_request_set_mode\(request, S2A_MODE_SELECT\);/);
        if (has("cc")) {
            const strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", `-I${new URL("include", top).pathname}`];
            writeFileSync(join(work, "ask.c"), c);
            execFileSync("cc", [...strict, "-fsyntax-only", join(work, "ask.c")]);
            const literal = c.slice(c.indexOf("static const char prompt"), c.indexOf("int main"));
            writeFileSync(join(work, "say.c"), `#include <stdio.h>\n${literal}int main(void)\n` +
                "{ return fwrite(prompt, 1, sizeof prompt - 1, stdout) == 0; }\n");
            execFileSync("cc", [...strict, "-o", join(work, "say"), join(work, "say.c")]);
            assert.equal(execFileSync(join(work, "say"), { encoding: "utf8" }), nasty);
        }
    } finally {
        rmSync(work, { recursive: true });
    }
    await v.leave();
});

test("code that is copied says the threshold", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, opinion);
    await moveThreshold(v.page, -1.5);
    assert.match(await codeOf(v.page, "c"), /s2a_request_set_threshold\(request, -1\.5, &err\) != S2A_OK/);
    assert.match(await codeOf(v.page, "curl"), /"threshold": -1\.5/);
    assert.match(await codeOf(v.page, "python"), /"threshold":-1\.5/);
    await v.page.click("#reset");
    assert.doesNotMatch(await codeOf(v.page, "c"), /threshold/);
    await v.leave();
});

// ---- for everybody ----------------------------------------------------------------------------------

// Presses Tab until the element has the focus, which must be visible.
async function tabTo(page, id) {
    for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        const [now, outline] = await page.evaluate(() => {
            const e = document.activeElement; // the body: Tab has left the page, and comes in again
            return [e.id, e === document.body ? "" : getComputedStyle(e).outlineStyle];
        });
        assert.notEqual(outline, "none", `the focus on ${now || "an element"} is not visible`);
        if (now === id)
            return;
    }
    assert.fail(`Tab does not reach #${id}`);
}

test("by keyboard alone", async () => {
    const v = await visit();
    await ready(v.page);
    await tabTo(v.page, "prompt");
    await v.page.keyboard.type(opinion);
    await tabTo(v.page, "mode");
    await v.page.keyboard.type("sel");
    await tabTo(v.page, "compare");
    await v.page.keyboard.press("Enter");
    await ended(v.page);
    assert.equal(await v.page.evaluate(() => document.activeElement.id), "compare");
    await tabTo(v.page, "marked");
    await tabTo(v.page, "rewritten");
    if (!real) {
        await tabTo(v.page, "threshold");
        for (let i = 0; i < 3; i++)
            await v.page.keyboard.press("PageUp");
        assert.equal(await text(v.page, "rewritten"), "Who wrote Frankenstein?");
        await tabTo(v.page, "again");
        await v.page.keyboard.press("Enter");
        await wait(v.page, "status", /this cut\.$/);
    }
    await tabTo(v.page, "s2a");
    await tabTo(v.page, "copy");
    await v.page.keyboard.press("Enter");
    await wait(v.page, "copied", /^Copied/);
    await v.leave();
});

for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing: ${colorScheme}`, async () => {
        const v = await visit({ colorScheme, expected: loads });
        await ready(v.page);
        assert.deepEqual(await violations(v.page), [], "idle");
        await v.page.click("#settings summary");
        await v.page.click("#details summary");
        await compare(v.page, real ? opinion : promptOf(cases.code));
        assert.deepEqual(await violations(v.page), [], "done");
        if (v.fake) {
            await moveThreshold(v.page, 2.5);
            assert.deepEqual(await violations(v.page), [], "cut again");
            await compare(v.page, promptOf(cases.emoji));
            assert.deepEqual(await violations(v.page), [], "all shades");
            v.fake.fault = "bad-request";
            await compare(v.page, opinion);
            assert.deepEqual(await violations(v.page), [], "failed");
        }
        await v.leave();
    });
}

// Contrast of text on its shade, which axe leaves out where backgrounds are inline.
for (const colorScheme of ["light", "dark"]) {
    test(`text on every shade has contrast 4.5 or more: ${colorScheme}`, async () => {
        const v = await visit({ colorScheme });
        await ready(v.page);
        const low = await v.page.evaluate(() => {
            const light = (c) => {
                const [r, g, b] = c.match(/[\d.]+/g).map((n) => n / 255)
                    .map((n) => n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const box = document.getElementById("marked"), found = [];
            for (const tag of ["del", "span"]) {
                for (const shade of ["1", "2", "3", "4"]) {
                    const e = element(tag, "words", { class: "unit", "data-shade": shade, "data-score": "1" });
                    box.replaceChildren(e);
                    const under = getComputedStyle(e).backgroundColor;
                    for (const pseudo of [null, "::after"]) {
                        const [a, b] = [light(getComputedStyle(e, pseudo).color), light(under)];
                        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                        if (contrast < 4.5)
                            found.push(`${tag} ${shade} ${pseudo}: ${contrast.toFixed(2)}`);
                    }
                }
            }
            return found;
        });
        assert.deepEqual(low, []);
        await v.leave();
    });
}

test("the theme: the system's, or the toggle's, which is remembered", async () => {
    const v = await visit({ colorScheme: "dark" });
    await ready(v.page);
    const ground = () => v.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await v.page.click("#theme");
    assert.equal(await text(v.page, "theme"), "Theme: light");
    assert.notEqual(await ground(), dark);
    await v.page.reload();
    assert.equal(await text(v.page, "theme"), "Theme: light");
    await v.page.click("#theme");
    await v.page.emulateMedia({ colorScheme: "light" });
    assert.equal(await ground(), dark);
    await v.leave();
});

test("who asks for less motion gets none", async () => {
    const v = await visit({ reducedMotion: "reduce", fault: "hang" });
    await ready(v.page);
    await v.page.fill("#prompt", opinion);
    await v.page.click("#compare");
    await wait(v.page, "plain", /\S/);
    assert.equal(await v.page.evaluate(() => document.getAnimations().length), 0);
    await v.page.click("#stop");
    await ended(v.page);
    await v.leave();
});

test("progress is said once a step, not once a token", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await v.page.evaluate(() => {
        window.said = [];
        new MutationObserver(() => window.said.push(document.getElementById("status").textContent))
            .observe(document.getElementById("status"), { childList: true, characterData: true, subtree: true });
    });
    await compare(v.page, promptOf(cases.long));
    const said = await v.page.evaluate(() => window.said);
    assert.deepEqual(said, ["Asking with and without S2A…", "Step 1 is done.",
        "Done. 1 of 2 units removed, 63 % of the bytes."]);
    for (const id of ["plain", "s2a", "rewritten", "plain-figures", "s2a-figures"])
        assert.equal(await v.page.evaluate((i) => document.getElementById(i).closest("[aria-live]"), id), null);
    await v.leave();
});

test("nothing moves while answers come, and long ones stay scrolled to their end", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    const places = () => v.page.evaluate(() => [...document.querySelectorAll("section, .pane, button, pre")]
        .map((e) => e.getBoundingClientRect()).map((r) => [r.x, r.y + scrollY, r.width, r.height]));
    await v.page.fill("#prompt", promptOf(cases.long));
    const before = await places();
    await v.page.click("#compare");
    await wait(v.page, "s2a", /\S/);
    await wait(v.page, "plain", /(line.*){9}/);
    const during = await places();
    await ended(v.page);
    assert.deepEqual(during, before);
    assert.deepEqual(await places(), before);
    const left = await v.page.evaluate(() => ["plain", "s2a"].map((i) => document.getElementById(i))
        .map((e) => e.scrollHeight - e.scrollTop - e.clientHeight));
    assert.ok(left.every((n) => n < 2), `left below: ${left}`);
    assert.equal((await v.page.evaluate(() => window.moved)).reduce((a, b) => a + b, 0), 0);
    await v.leave();
});

for (const width of [320, 360, 768, 1280]) {
    test(`${width} pixels: nothing is wider than the page`, async () => {
        const v = await visit({ width, height: 700 });
        await ready(v.page);
        await v.page.click("#settings summary");
        await v.page.click("#details summary");
        await compare(v.page, real ? opinion : promptOf(cases.longWords));
        if (!real)
            await moveThreshold(v.page, 0.5);
        const wide = await v.page.evaluate(() => [document.documentElement.scrollWidth > innerWidth,
            ...["marked", "rewritten", "plain", "s2a", "code"].map((i) => document.getElementById(i))
                .map((e) => e.scrollWidth > e.clientWidth)]);
        assert.deepEqual(wide, [false, false, false, false, false, false]);
        await v.leave();
    });
}

test("targets are large enough for a finger", async () => {
    const v = await visit({ width: 360 });
    await ready(v.page);
    const small = await v.page.evaluate(() => [...document.querySelectorAll("button, select, summary, input:not([type=radio]), label:has(input)")]
        .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).map((e) => e.id || e.textContent));
    assert.deepEqual(small, []);
    await v.leave();
});

test("right-to-left text stands on its side, beside left-to-right text", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await compare(v.page, promptOf(cases.rtl));
    const directions = await v.page.evaluate(() => ["prompt", "marked", "rewritten", "plain", "s2a"]
        .map((i) => document.getElementById(i)).map((e) => e.matches(":dir(rtl)")));
    assert.deepEqual(directions, [true, true, true, true, true]);
    await v.leave();
});

test("tells what the filter did in the last hour", fakeOnly, async () => {
    const v = await visit();
    await ready(v.page);
    await wait(v.page, "effect", /1 request with S2A, 13 % of their text removed, about 25 tokens saved, 210 spent on step 1, 1 answered/);
    await v.leave();
});

test("speaks Chinese where the browser does, and English where it is asked to", async () => {
    const v = await visit({ locale: "zh-CN" });
    await wait(v.page, "status", /就绪/);
    const left = await v.page.evaluate(() => {
        const walk = document.createTreeWalker(document.querySelector(".page"), NodeFilter.SHOW_TEXT), found = [];
        for (let node; (node = walk.nextNode());)
            if (!node.parentNode.closest("select, pre, h1, h2 b, kbd, #effect") && /[a-z]{3}/u.test(node.data) &&
                !/[\u4e00-\u9fff]/u.test(node.data))
                found.push(node.data.trim());
        return found;
    });
    assert.deepEqual(left, ["curl", "Python"]);
    assert.equal(await v.page.getAttribute("html", "lang"), "zh-Hans");
    await v.page.fill("#prompt", opinion);
    await v.page.click("#compare");
    await wait(v.page, "status", /^完成/);
    if (process.env.S2A_SHOT)
        await v.page.screenshot({ path: process.env.S2A_SHOT, fullPage: true });
    await v.page.goto(`${v.url}?lang=en`);
    await wait(v.page, "status", /Ready/);
    assert.equal(await text(v.page, "compare"), "Compare");
    await v.leave();
});
