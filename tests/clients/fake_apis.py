"""/v1/responses and /v1/messages of fake_openai.py: what the model answers, and the bytes it is sent in.

Both answer as /v1/chat/completions does (a tool that may be called is called, its result is told, an image
is described by its bytes' hash), and with reasoning where a request asks for it. The JSON of events has the
spaces that json.dumps writes, so a test sees whether somebody serialised it again.
"""
import base64
import hashlib
import json

ANSWER = "Walt Whitman wrote it."
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "A poem."}],
             "encrypted_content": "gAAAAA/+=\u00e9"}
THINKING = {"type": "thinking", "thinking": "A poem.", "signature": "EuYBCkQ/+="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgB/+="}


def arguments_for(schema):
    """A value for each parameter of a tool."""
    values = {"string": "Oslo", "integer": 3, "number": 1.5, "boolean": True}
    return {name: values.get(p.get("type"), "Oslo") for name, p in schema.get("properties", {}).items()}


def hash_of(base64_text):
    return "An image of sha256 " + hashlib.sha256(base64.b64decode(base64_text)).hexdigest()


def text_of(content):
    """A string, or the text of a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(p.get("text", "") for p in content or [])


def words_in(value):
    return len(json.dumps(value).split())


def words_of(text):
    """The text in pieces, each with the space after it."""
    return [w + " " for w in text.split(" ")[:-1]] + text.split(" ")[-1:]


# ---- /v1/responses

def message_item(text):
    return {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}


def response_items(body):
    last = body["input"] if isinstance(body["input"], str) else body["input"][-1]
    items = [REASONING] if body.get("reasoning") else []
    if isinstance(last, str):
        last = {"role": "user", "content": last}
    if last.get("type") == "function_call_output":
        return items + [message_item("It is " + text_of(last["output"]) + ".")]
    tools = [t for t in body.get("tools", []) if t["type"] == "function"]
    if tools and body.get("tool_choice") != "none":
        return items + [{"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1",
                         "name": tools[0]["name"],
                         "arguments": json.dumps(arguments_for(tools[0]["parameters"]))}]
    if body.get("text", {}).get("format", {}).get("type", "text") != "text":
        return items + [message_item(json.dumps({"author": "Walt Whitman", "year": 1855}))]
    for part in last["content"] if isinstance(last["content"], list) else []:
        if part["type"] == "input_image":
            return items + [message_item(hash_of(part["image_url"].split(",", 1)[1]))]
    return items + [message_item(ANSWER)]


def response_of(body, items, status):
    reasoning = 3 if body.get("reasoning") else 0
    usage = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5 + reasoning,
             "output_tokens_details": {"reasoning_tokens": reasoning}, "total_tokens": 25 + reasoning}
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
            "incomplete_details": None, "instructions": body.get("instructions"), "metadata": {},
            "model": body["model"], "output": items, "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"), "temperature": 1.0, "tool_choice": "auto",
            "tools": body.get("tools", []), "top_p": 1.0, "usage": usage if status == "completed" else None}


def item_events(item, index):
    """The events that make one item, without their numbers."""
    at = {"output_index": index}
    yield {"type": "response.output_item.added", **at, "item": {**item, "content": [], "status": "in_progress"}
           if item["type"] == "message" else {**item, "arguments": ""} if item["type"] == "function_call" else item}
    where = {"item_id": item["id"], **at}
    if item["type"] == "function_call":
        text = item["arguments"]
        for piece in (text[:4], text[4:]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **where, "name": item["name"], "arguments": text}
    if item["type"] == "message":
        part = item["content"][0]
        where["content_index"] = 0
        yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
        for word in words_of(part["text"]):
            yield {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []}
        yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", **at, "item": item}


def response_events(body, items):
    yield {"type": "response.created", "response": response_of(body, [], "in_progress")}
    yield {"type": "response.in_progress", "response": response_of(body, [], "in_progress")}
    for index, item in enumerate(items):
        yield from item_events(item, index)
    yield {"type": "response.completed", "response": response_of(body, items, "completed")}


def responses(handler, body, record):
    if "input_tokens" in handler.path:
        handler.send_json(200, {"object": "response.input_tokens", "input_tokens": words_in(body["input"])})
        return
    items = response_items(body)
    if not body.get("stream"):
        handler.send_json(200, response_of(body, items, "completed"))
        return
    events = [{**e, "sequence_number": n} for n, e in enumerate(response_events(body, items))]
    stream(handler, body, record, events, "response.output_text.delta")


# ---- /v1/messages

def message_blocks(body):
    content = body["messages"][-1]["content"]
    blocks = [REDACTED, THINKING] if body.get("thinking", {}).get("type") not in (None, "disabled") else []
    parts = content if isinstance(content, list) else []
    for part in parts:
        if part["type"] == "tool_result":
            return blocks + [{"type": "text", "text": "It is " + text_of(part["content"]) + "."}]
    if body.get("tools") and body.get("tool_choice", {}).get("type") != "none":
        tool = body["tools"][0]
        return blocks + [{"type": "tool_use", "id": "toolu_1", "name": tool["name"],
                          "input": arguments_for(tool["input_schema"])}]
    for part in parts:
        if part["type"] == "image":
            return blocks + [{"type": "text", "text": hash_of(part["source"]["data"])}]
    return blocks + [{"type": "text", "text": ANSWER}]


def message_of(body, blocks, stop, output_tokens):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": blocks,
            "stop_reason": stop, "stop_sequence": None,
            "usage": {"input_tokens": 16, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4,
                      "output_tokens": output_tokens, "service_tier": "standard"}}


def block_deltas(block):
    if block["type"] == "text":
        return [{"type": "text_delta", "text": w} for w in words_of(block["text"])]
    if block["type"] == "thinking":
        return [{"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        return [{"type": "input_json_delta", "partial_json": p} for p in ("", text[:4], text[4:])]
    return []


EMPTY = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}


def message_events(body, blocks, stop):
    yield {"type": "message_start", "message": message_of(body, [], None, 1)}
    for index, block in enumerate(blocks):
        yield {"type": "content_block_start", "index": index,
               "content_block": {**block, **EMPTY.get(block["type"], {})}}
        if index == 0:
            yield {"type": "ping"}
        for delta in block_deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


def messages(handler, body, record):
    if "count_tokens" in handler.path:
        handler.send_json(200, {"input_tokens": words_in(body["messages"])})
        return
    blocks = message_blocks(body)
    stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    if not body.get("stream"):
        handler.send_json(200, message_of(body, blocks, stop, 5), [("Request-Id", "req_1")])
        return
    stream(handler, body, record, list(message_events(body, blocks, stop)), "content_block_delta")


# ---- both

def stream(handler, body, record, events, delta_type):
    """slow and broken: what they do, they do after the second delta."""
    handler.begin_stream()
    deltas = 0
    for event in events:
        handler.piece("event: %s\ndata: %s\n\n" % (event["type"], json.dumps(event)))
        deltas += event["type"] == delta_type
        if body["model"] == "broken" and deltas == 2:
            handler.close_connection = True
            return
        while body["model"] == "slow" and deltas == 2:
            if handler.client_left(0.05):
                record["hung_up"] = True
                handler.close_connection = True
                return
            handler.piece("event: %s\ndata: %s\n\n" % (event["type"], json.dumps(event)))
    handler.wfile.write(b"0\r\n\r\n")
