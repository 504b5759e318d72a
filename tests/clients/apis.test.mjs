// OpenAI's SDK for Node on /v1/responses, and Anthropic's on /v1/messages. Run as openai.test.mjs is.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const X = "I think it was Poe. The poem is from 1855. Who wrote it?";
const XPRIME = "The poem is from 1855. Who wrote it?";
const ANSWER = "Walt Whitman wrote it.";
const OPINION = "I think it was Poe.";
const ask = { max_tokens: 16, messages: [{ role: "user", content: X }] };
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const { S2A_URL_SCRIPT, S2A_URL_PROXY, S2A_URL_FAKE } = process.env;
const limit = { timeout: 30_000 };
const image = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) % 256));
const hash = createHash("sha256").update(image).digest("hex");

const openai = (baseURL, more) => new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 20_000, ...more });
const anthropic = (baseURL, more) =>
  new Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey: "none", maxRetries: 0, timeout: 20_000, ...more });
const responses = openai(S2A_URL_PROXY).responses;
const messages = anthropic(S2A_URL_PROXY).messages;

const control = S2A_URL_FAKE.replace(/v1$/, "_requests");
const requests = async () => (await fetch(control)).json();
const last = async () => JSON.parse(Buffer.from((await requests()).at(-1).body, "latin1"));
const hungUp = async () => {
  for (let i = 0; i < 250; i++) {
    if ((await requests()).some((r) => r.hung_up)) return true;
    await sleep(20);
  }
  return false;
};

beforeEach(() => fetch(control, { method: "DELETE" }));

for (const [place, url, model] of [["script", S2A_URL_SCRIPT, "s2a-replay.txt"], ["proxy", S2A_URL_PROXY, "s2a-tiny"]]) {
  test(`${place}: responses, whole, then a stream`, limit, async () => {
    const c = openai(url).responses;
    const whole = await c.create({ model, input: X });
    assert.equal(whole.output_text, ANSWER);
    assert.equal(whole.s2a.rewritten, XPRIME);
    assert.deepEqual(whole.s2a.removed.map((r) => r.text), [OPINION]);
    assert.equal(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens);

    let text = "", final;
    for await (const event of await c.create({ model, input: X, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      final = event;
    }
    assert.equal(text, ANSWER);
    assert.equal(final.type, "response.completed");
    assert.equal(final.response.s2a.fallback, null);
    assert.ok(final.response.usage.output_tokens_details.reasoning_tokens > 0);
  });

  test(`${place}: responses, the stream helper puts it together`, limit, async () => {
    const final = await openai(url).responses.stream({ model, input: X }).finalResponse();
    assert.equal(final.output_text, ANSWER);
    assert.equal(final.s2a.rewritten, XPRIME);
  });

  test(`${place}: messages, whole, then a stream`, limit, async () => {
    const c = anthropic(url).messages;
    const whole = await c.create({ model, ...ask });
    assert.equal(whole.content[0].text, ANSWER);
    assert.equal(whole.s2a.rewritten, XPRIME);
    assert.ok(whole.usage.output_tokens > 5);

    let text = "", final;
    for await (const event of await c.create({ model, ...ask, stream: true })) {
      if (event.type === "content_block_delta") text += event.delta.text;
      final = event;
    }
    assert.equal(text, ANSWER);
    assert.equal(final.type, "message_stop");
    assert.equal(final.s2a.fallback, null);
  });

  test(`${place}: messages, the stream helper puts it together`, limit, async () => {
    const stream = anthropic(url).messages.stream({ model, ...ask });
    assert.equal(await stream.finalText(), ANSWER);
    assert.equal((await stream.finalMessage()).stop_reason, "end_turn");
  });

  test(`${place}: tokens are counted`, limit, async () => {
    const counted = await anthropic(url).messages.countTokens({ model, messages: ask.messages });
    assert.ok(counted.input_tokens > 0);
    assert.ok((await openai(url).responses.inputTokens.count({ model, input: X })).input_tokens > 0);
  });

  test(`${place}: a model that is not there`, limit, async () => {
    await assert.rejects(openai(url).responses.create({ model: "s2a-nobody", input: X }), OpenAI.NotFoundError);
    await assert.rejects(anthropic(url).messages.create({ model: "s2a-nobody", ...ask }), (e) =>
      e instanceof Anthropic.NotFoundError && e.error.error.type === "not_found_error");
  });
}

test("script: what the model cannot do is refused by name", limit, async () => {
  const model = "s2a-replay.txt";
  await assert.rejects(openai(S2A_URL_SCRIPT).responses.create({ model, input: X, previous_response_id: "resp_0" }),
    (e) => e instanceof OpenAI.BadRequestError && /previous_response_id/.test(e.message));
  await assert.rejects(anthropic(S2A_URL_SCRIPT).messages.create({ model, ...ask, tools: [{ name: "f", input_schema: schema }] }),
    (e) => e instanceof Anthropic.BadRequestError && /tools/.test(e.message));
});

test("responses: a call, its result, an answer; the user's text is judged", limit, async () => {
  const tools = [{ type: "function", name: "weather", parameters: schema, strict: true }];
  const model = "s2a-tiny";
  const first = await responses.create({ model, input: X, tools, reasoning: { effort: "low" } });
  const [reasoning, call] = first.output;
  assert.equal(call.name, "weather");
  assert.ok(!(await last()).input.includes(OPINION));
  const items = [reasoning, call, { type: "function_call_output", call_id: call.call_id, output: "sunny" }];
  const second = await responses.create({ model, tools, input: [{ role: "user", content: X }, ...items] });
  assert.equal(second.output_text, "It is sunny.");
  assert.deepEqual((await last()).input.slice(1), items);
});

test("messages: the SDK's runner calls the function", limit, async () => {
  let asked;
  const runner = anthropic(S2A_URL_PROXY).beta.messages.toolRunner({
    model: "s2a-tiny", ...ask,
    tools: [{ type: "custom", name: "weather", description: "", input_schema: schema, parse: (x) => x,
              run: ({ city }) => { asked = city; return "sunny"; } }],
  });
  assert.equal((await runner.runUntilDone()).content[0].text, "It is sunny.");
  assert.equal(asked, "Oslo");
});

test("an image stays as it is", limit, async () => {
  const data = image.toString("base64");
  const one = await responses.create({ model: "s2a-tiny", input: [{ role: "user", content: [
    { type: "input_text", text: X },
    { type: "input_image", image_url: "data:image/png;base64," + data, detail: "auto" }] }] });
  assert.ok(one.output_text.endsWith(hash));
  const two = await messages.create({ model: "s2a-tiny", max_tokens: 16, messages: [{ role: "user", content: [
    { type: "text", text: X }, { type: "image", source: { type: "base64", media_type: "image/png", data } }] }] });
  assert.ok(two.content[0].text.endsWith(hash));
});

test("bytes go through as they are", limit, async () => {
  for (const send of [
    (url) => openai(url).responses.create({ model: "tiny", input: "\u2028", unknown: [1.5, null] }),
    (url) => anthropic(url).messages.create({ model: "tiny", ...ask, unknown: [1.5, null, "\u2028"] })]) {
    const bodies = [];
    for (const url of [S2A_URL_FAKE, S2A_URL_PROXY]) {
      await send(url);
      bodies.push((await requests()).at(-1).body);
    }
    assert.equal(bodies[1], bodies[0]);
  }
});

for (const [status, kind] of [[500, "InternalServerError"], [429, "RateLimitError"], [401, "AuthenticationError"],
  [400, "BadRequestError"]])
  test(`fail-${status} arrives with its own status and body`, limit, async () => {
    for (const model of ["fail-" + status, "s2a-fail-" + status]) {
      await assert.rejects(responses.create({ model, input: X }), (e) =>
        e instanceof OpenAI[kind] && e.status === status && e.code === "fake_" + status);
      await assert.rejects(messages.create({ model, ...ask }), (e) =>
        e instanceof Anthropic[kind] && e.status === status && e.error.error.message === "fake " + status);
    }
    // With S2A the head has gone when it happens: an error event.
    await assert.rejects(async () => {
      for await (const _ of await responses.create({ model: "s2a-fail-" + status, input: X, stream: true }));
    }, OpenAI.APIError);
    await assert.rejects(async () => {
      for await (const _ of await messages.create({ model: "s2a-fail-" + status, ...ask, stream: true }));
    }, Anthropic.APIError);
  });

for (const model of ["broken", "s2a-broken"])
  test(`${model}: a stream that is cut is an error, after what came`, limit, async () => {
    let text = "";
    await assert.rejects(async () => {
      for await (const e of await responses.create({ model, input: X, stream: true }))
        if (e.type === "response.output_text.delta") text += e.delta;
    });
    assert.equal(text, "Walt Whitman ");
    text = "";
    await assert.rejects(async () => {
      for await (const e of await messages.create({ model, ...ask, stream: true }))
        if (e.type === "content_block_delta") text += e.delta.text;
    });
    assert.equal(text, "Walt Whitman ");
  });

for (const model of ["slow", "s2a-slow"])
  test(`${model}: leaving the loop hangs up upstream`, limit, async () => {
    for await (const e of await responses.create({ model, input: X, stream: true }))
      if (e.type === "response.output_text.delta") break;
    assert.ok(await hungUp());
    await fetch(control, { method: "DELETE" });
    for await (const e of await messages.create({ model, ...ask, stream: true }))
      if (e.type === "content_block_delta") break;
    assert.ok(await hungUp());
  });
