// A server that speaks what web/index.html relies on of `s2a serve`, with delays, characters cut in
// two between writes, and faults that can be chosen. In the tests it runs inside their process; by
// itself (`node fake_server.mjs [PORT]`) it shows the page to a person.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cases, promptOf, rewritten, selected } from "./cases.mjs";

const page = new URL("../../web/index.html", import.meta.url);
const model = "tiny-1.5b";

const unknown = (prompt) => ({ units: [[prompt, "question", null]], rewritten: prompt, question: prompt,
    plain: `You asked: ${prompt}`, s2a: `It was asked: ${prompt}` });

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function json(response, status, value) {
    const body = JSON.stringify(value);
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
}

// Writes bytes in two pieces, cut inside a character if there is one of several bytes.
async function writeCut(response, text) {
    const bytes = Buffer.from(text);
    const inside = bytes.findIndex((b) => (b & 0xc0) === 0x80);
    const at = inside > 0 ? inside : bytes.length >> 1;
    response.write(bytes.subarray(0, at));
    await sleep(1);
    response.write(bytes.subarray(at));
}

const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (value, finish = null) => event({ object: "chat.completion.chunk",
    choices: [{ index: 0, delta: value, finish_reason: finish }] });

// The s2a object under a fault, with as much as is asked for.
function resultOf(fault, known, request) {
    const make = request.s2a && request.s2a.mode === "rewrite" ? rewritten : selected;
    const result = make(known, request.s2a && request.s2a.preset);
    if (fault === "bad-spans")
        result.units[0].end += 1;
    if (fault === "fallback")
        return { ...result, rewritten: result.input, units: [], removed: [], fallback: "step1_failed",
                 fallback_detail: "the context is 8192 tokens" };
    if (!request.s2a || !request.s2a.explain)
        for (const name of ["input", "rewritten", "threshold", "units"])
            delete result[name];
    return result;
}

async function step1(state, response, known, result) {
    for (let i = 0; i < 3; i++) {
        response.write(": step 1\n\n");
        await sleep(state.delay * 2);
    }
    for (const part of known.rewritten.match(/.{1,40}/gsu) || [])
        await writeCut(response, delta({ reasoning_content: part }));
    if (state.fault === "early-result")
        response.write(event({ choices: [], s2a: result }));
}

// One stream; returns without [DONE] where the fault is that it breaks off.
async function stream(state, response, request, known) {
    const withS2a = request.model.startsWith("s2a-");
    const result = withS2a && resultOf(state.fault, known, request);
    const text = withS2a ? known.s2a : known.plain;
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" });
    if (withS2a)
        await step1(state, response, known, result);
    const tokens = text.match(/\s*\S{1,8}|\s+/gsu) || [];
    for (const [i, token] of tokens.entries()) {
        if (response.destroyed)
            return;
        if (i === 2 && state.fault === "event-error")
            return response.end(event({ error: { message: "the upstream hung up" } }));
        if (i === 2 && state.fault === "not-json")
            return response.end("data: {oops\n\n");
        if (i === 2 && state.fault === "early-end")
            return response.end();
        if (i === 2 && state.fault === "reset")
            return response.destroy();
        while (i === 2 && state.fault === "hang" && !response.destroyed)
            await sleep(10);
        await writeCut(response, delta({ content: token }));
        await sleep(state.delay);
    }
    const end = state.fault === "length" ? "length" : "stop";
    response.write(delta({}, end).replaceAll("\n", "\r\n"));
    response.write(event({ choices: [], usage: { prompt_tokens: 60, completion_tokens: tokens.length },
        ...(withS2a && state.fault !== "early-result" && { s2a: result }) }));
    response.end("data: [DONE]\n\n");
}

function modelsOf(state, response) {
    if (state.fault === "models-500")
        return json(response, 500, { error: { message: "no memory left" } });
    const ids = state.fault === "models-empty" ? [] : [model, `s2a-${model}`, "other/model:7b", "s2a-other/model:7b"];
    json(response, 200, { object: "list", data: ids.map((id) => ({ id, object: "model" })) });
}

async function chat(state, response, request) {
    if (state.fault === "bad-request")
        return json(response, 400, { error: { message: "messages: the prompt is too long" } });
    if (state.fault === "html") {
        response.writeHead(200, { "Content-Type": "text/html" });
        return response.end("<p>a proxy's page");
    }
    const prompt = request.messages.at(-1).content;
    const all = Object.values(cases);
    // x' by itself is answered with what step 2 says, and a cut of it with how it was cut.
    const known = all.find((c) => promptOf(c) === prompt);
    const cut = all.find((c) => c.rewritten === prompt);
    await stream(state, response, request,
        known || (cut ? { ...unknown(prompt), plain: cut.s2a } : unknown(prompt)));
}

async function handle(state, incoming, response) {
    let text = "";
    incoming.setEncoding("utf8");
    for await (const piece of incoming)
        text += piece;
    const path = new URL(incoming.url, "http://fake").pathname;
    if (incoming.method === "GET" && path === "/") {
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
        return response.end(readFileSync(page));
    }
    const entry = { path, body: text && JSON.parse(text), key: incoming.headers.authorization || null,
                    aborted: false };
    if (path !== "/v1/s2a/effect")
        state.log.push(entry);
    response.on("close", () => { entry.aborted = !response.writableEnded; });
    if (state.fault === "needs-key" && entry.key !== "Bearer geheim")
        return json(response, 401, { error: { message: "no key, or a wrong one" } });
    if (path === "/v1/models")
        return modelsOf(state, response);
    if (path === "/v1/chat/completions")
        return chat(state, response, entry.body);
    if (path === "/v1/s2a/effect")
        return json(response, 200, { minutes: 60, requests: 1, judged_bytes: 800, removed_bytes: 100,
                                     removed_share: 0.125, saved_tokens_estimated: 25, spent_tokens: 210,
                                     fallbacks: { budget: 1 } });
    json(response, 404, { error: { message: `there is no ${path}` } });
}

// Starts on a free port of the loopback. `state` is the caller's to change: fault, delay (ms between
// tokens); state.log has the requests.
export async function startFake(port = 0) {
    const state = { fault: "none", delay: 4, log: [] };
    const server = createServer((incoming, response) => {
        handle(state, incoming, response).catch((e) => {
            console.error(`fake_server: ${e.stack}`);
            response.destroy();
        });
    });
    await new Promise((done) => server.listen(port, "127.0.0.1", done));
    return { state, url: `http://127.0.0.1:${server.address().port}/`,
             close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const fake = await startFake(Number(process.argv[2] || 0));
    fake.state.delay = 60;
    console.log(fake.url);
}
