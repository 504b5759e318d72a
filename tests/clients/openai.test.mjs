// OpenAI's own SDK for Node. Run by scripts/clients-test.sh, which gives S2A_URL_SCRIPT (s2a serve
// on a replay of two records), S2A_URL_PROXY (s2a serve --upstream) and S2A_URL_FAKE (fake_openai.py).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import OpenAI from "openai";

const X = "I think it was Poe. The poem is from 1855. Who wrote it?";
const XPRIME = "The poem is from 1855. Who wrote it?";
const ANSWER = "Walt Whitman wrote it.";
const OPINION = "I think it was Poe.";
const messages = [{ role: "user", content: X }];
const tools = [{
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];
const { S2A_URL_SCRIPT, S2A_URL_PROXY, S2A_URL_FAKE } = process.env;
const limit = { timeout: 30_000 };

const client = (baseURL, more) =>
  new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 20_000, ...more });
const proxy = client(S2A_URL_PROXY);
const create = (more) => proxy.chat.completions.create({ model: "s2a-tiny", messages, ...more });

const control = S2A_URL_FAKE.replace(/v1$/, "_requests");
const requests = async () => (await fetch(control)).json();
const hungUp = async () => {
  for (let i = 0; i < 250; i++) {
    if ((await requests()).some((r) => r.hung_up)) return true;
    await sleep(20);
  }
  return false;
};

beforeEach(() => fetch(control, { method: "DELETE" }));

for (const [place, url, model] of [["script", S2A_URL_SCRIPT, "s2a-replay.txt"], ["proxy", S2A_URL_PROXY, "s2a-tiny"]]) {
  test(`${place}: whole, then a stream with usage`, limit, async () => {
    const c = client(url);
    const whole = await c.chat.completions.create({ model, messages });
    assert.equal(whole.choices[0].message.content, ANSWER);
    assert.equal(whole.choices[0].message.reasoning_content, XPRIME);
    assert.deepEqual(whole.s2a.removed.map((r) => r.text), [OPINION]);
    assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

    const stream = await c.chat.completions.create(
      { model, messages, stream: true, stream_options: { include_usage: true } });
    let text = "", shown = "", last;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      shown += chunk.choices[0]?.delta?.reasoning_content ?? "";
      last = chunk;
    }
    assert.equal(text, ANSWER);
    assert.equal(shown, XPRIME);
    assert.ok(last.usage.completion_tokens_details.reasoning_tokens > 0);
    assert.equal(last.s2a.fallback, null);
  });

  test(`${place}: the stream helper puts it together`, limit, async () => {
    const runner = client(url).chat.completions.stream({ model, messages });
    assert.equal(await runner.finalContent(), ANSWER);
  });

  test(`${place}: completions`, limit, async () => {
    const whole = await client(url).completions.create({ model, prompt: X });
    assert.equal(whole.choices[0].text, ANSWER);
  });

  test(`${place}: models`, limit, async () => {
    const ids = [];
    for await (const m of client(url).models.list()) ids.push(m.id);
    assert.ok(ids.includes(model) && ids.includes(model.slice(4)));
    assert.equal((await client(url).models.retrieve(model)).id, model);
  });

  test(`${place}: a model that is not there`, limit, async () => {
    await assert.rejects(client(url).chat.completions.create({ model: "s2a-nobody", messages }), OpenAI.NotFoundError);
  });
}

test("script: tools and JSON mode are refused by name", limit, async () => {
  const ask = { model: "s2a-replay.txt", messages };
  const c = client(S2A_URL_SCRIPT).chat.completions;
  await assert.rejects(c.create({ ...ask, tools }), (e) => e instanceof OpenAI.BadRequestError && /tools/.test(e.message));
  await assert.rejects(c.create({ ...ask, response_format: { type: "json_object" } }), OpenAI.BadRequestError);
});

test("tools: a call, its result, an answer; the user's text is judged", limit, async () => {
  const first = await create({ tools });
  const message = first.choices[0].message;
  assert.equal(message.tool_calls[0].function.name, "weather");
  const body = JSON.parse((await requests()).at(-1).body);
  assert.deepEqual(body.tools, tools);
  assert.ok(!body.messages[0].content.includes(OPINION));
  const second = await create({
    tools,
    messages: [...messages, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" }],
  });
  assert.equal(second.choices[0].message.content, "It is sunny.");
});

test("tools: the SDK's runner calls the function", limit, async () => {
  let asked;
  const runner = proxy.chat.completions.runTools({
    model: "s2a-tiny", messages,
    tools: [{ type: "function", function: { ...tools[0].function, parse: JSON.parse, function: ({ city }) => { asked = city; return "sunny"; } } }],
  });
  assert.equal(await runner.finalContent(), "It is sunny.");
  assert.equal(asked, "Oslo");
});

test("JSON mode", limit, async () => {
  const answer = await create({ response_format: { type: "json_object" } });
  assert.equal(JSON.parse(answer.choices[0].message.content).year, 1855);
});

test("an image stays as it is", limit, async () => {
  const data = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) % 256));
  const url = "data:image/png;base64," + data.toString("base64");
  const answer = await create({
    messages: [{ role: "user", content: [{ type: "text", text: X }, { type: "image_url", image_url: { url } }] }],
  });
  assert.ok(answer.choices[0].message.content.endsWith(createHash("sha256").update(data).digest("hex")));
  assert.ok((await requests()).at(-1).body.includes(url));
});

test("bytes go through as they are", limit, async () => {
  const bodies = [];
  for (const url of [S2A_URL_FAKE, S2A_URL_PROXY]) {
    await client(url).chat.completions.create({ model: "tiny", messages, tools, unknown: [1.5, null, "\u2028"] });
    bodies.push((await requests()).at(-1).body);
  }
  assert.equal(bodies[1], bodies[0]);
});

for (const [model, kind, status] of [
  ["fail-500", OpenAI.InternalServerError, 500], ["fail-429", OpenAI.RateLimitError, 429],
  ["fail-401", OpenAI.AuthenticationError, 401], ["fail-400", OpenAI.BadRequestError, 400]]) {
  test(`${model} arrives with its own status and body`, limit, async () => {
    for (const prefix of ["", "s2a-"])
      await assert.rejects(create({ model: prefix + model }), (e) =>
        e instanceof kind && e.status === status && e.code === "fake_" + status && e.headers.get("x-fake") === "yes");
    await assert.rejects(create({ model, stream: true }), kind);
    await assert.rejects(async () => {
      for await (const _ of await create({ model: "s2a-" + model, stream: true }));
    }, OpenAI.APIError);
  });
}

test("the SDK's retry", limit, async () => {
  const answer = await client(S2A_URL_PROXY, { maxRetries: 2 }).chat.completions.create({ model: "busy-once", messages });
  assert.equal(answer.choices[0].message.content, ANSWER);
});

test("a stream that is cut is an error, after what came", limit, async () => {
  for (const model of ["broken", "s2a-broken"]) {
    let text = "";
    await assert.rejects(async () => {
      for await (const chunk of await create({ model, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
    });
    assert.equal(text, "Walt Whitman ");
  }
});

for (const model of ["slow", "s2a-slow"])
  test(`${model}: leaving the loop hangs up upstream`, limit, async () => {
    for await (const chunk of await create({ model, stream: true }))
      if (chunk.choices[0]?.delta?.content) break;
    assert.ok(await hungUp());
  });

for (const model of ["silent", "s2a-silent"])
  test(`${model}: a time limit, and an abort`, limit, async () => {
    await assert.rejects(client(S2A_URL_PROXY, { timeout: 400 }).chat.completions.create({ model, messages }),
      OpenAI.APIConnectionTimeoutError);
    assert.ok(await hungUp());
    await fetch(control, { method: "DELETE" });
    const abort = new AbortController();
    const call = proxy.chat.completions.create({ model, messages }, { signal: abort.signal });
    while (!(await requests()).length) await sleep(20);
    abort.abort();
    await assert.rejects(call, OpenAI.APIUserAbortError);
    assert.ok(await hungUp());
  });
