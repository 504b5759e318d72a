#!/usr/bin/env python3
"""Checks results of s2a: against docs/schema/result.schema.json, and what a schema cannot say.

    check_result.py < results        JSON values, one after the other; prints how many
    check_result.py eval < objects   the same of what s2a eval --json prints, and eval.schema.json
    check_result.py prune < objects  the same of what s2a prune prints, and prune.schema.json

Uses the standard library alone, and jsonschema as well where it can be imported.
"""
import json
import os
import sys

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/schema/%s.schema.json")
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
KNOWN = {"$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "const", "oneOf",
         "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems",
         "minimum", "maximum", "minLength", "if", "then", "else"}


class Wrong(Exception):
    pass


def same(a, b):
    return type(a) is type(b) and a == b


def fits(value, schema, root):
    try:
        validate(value, schema, root, "")
        return True
    except Wrong:
        return False


def validate(value, schema, root, where):
    """The part of JSON Schema that our schema uses."""
    if schema is True or schema is False:
        if not schema:
            raise Wrong(f"{where}: must not be there")
        return
    if set(schema) - KNOWN:
        raise Wrong(f"the schema uses {set(schema) - KNOWN}: teach it to check_result.py")
    if "$ref" in schema:
        validate(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, where)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[k](value) for k in kinds):
        raise Wrong(f"{where}: {value!r} is not {' or '.join(kinds)}")
    if "enum" in schema and not any(same(value, e) for e in schema["enum"]):
        raise Wrong(f"{where}: {value!r} is not one of {schema['enum']}")
    if "const" in schema and not same(value, schema["const"]):
        raise Wrong(f"{where}: {value!r} is not {schema['const']!r}")
    if "oneOf" in schema and sum(fits(value, s, root) for s in schema["oneOf"]) != 1:
        # Which one was meant tells which message helps.
        validate(value, schema["oneOf"]["error" in value], root, where)
        raise Wrong(f"{where}: is not exactly one of the things it may be")
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        raise Wrong(f"{where}: {value} is less than {schema['minimum']}")
    if isinstance(value, (int, float)) and value > schema.get("maximum", value):
        raise Wrong(f"{where}: {value} is more than {schema['maximum']}")
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        raise Wrong(f"{where}: is too short")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            raise Wrong(f"{where}: has {len(value)} elements")
        first = schema.get("prefixItems", [])
        for i, item in enumerate(value):
            validate(item, first[i] if i < len(first) else schema.get("items", True), root, f"{where}[{i}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key in schema.get("required", []):
            if key not in value:
                raise Wrong(f"{where}: {key} is missing")
        for key, item in value.items():
            rest = schema.get("additionalProperties", True)
            validate(item, properties.get(key, rest), root, f"{where}.{key}")
    if "if" in schema:
        branch = "then" if fits(value, schema["if"], root) else "else"
        validate(value, schema.get(branch, True), root, where)


def check(condition, words):
    if not condition:
        raise Wrong(words)


def check_spans(spans, text, name):
    data = text.encode()
    at = -1
    for s in spans:
        check(at < s["start"] < s["end"] <= len(data), f"{name}: {s} out of order or out of range")
        check(data[s["start"]:s["end"]] == s["text"].encode(), f"{name}: {s} has another text")
        at = s["end"]


def check_result(r):
    at = 0
    for u in r["units"]:
        check(u["start"] == at and u["end"] > at, f"units: {u} does not begin where the last ended")
        at = u["end"]
    check(at == len(r["input"].encode()), "units: they do not reach the end of the input")
    check_spans(r["removed"], r["input"], "removed")
    check_spans(r["added"], r["rewritten"], "added")
    check((r["context"] is None) == (r["question"] is None), "context and question: one alone")
    if r["fallback"] is not None or r["mode"] == "none":
        check(r["rewritten"] == r["input"], "rewritten: not the input")
        check(r["removed"] == [] and r["added"] == [], "removed, added: without step 1")
    check((r["usage"]["step1"] is None) == (r["mode"] == "none"), "usage.step1: there or not")
    check((r["usage"]["step2"] is None) == (r["answer"] is None), "usage.step2: there or not")
    if "plain" in r:
        check(r["plain"]["usage"]["step1"] is None, "plain: has a step 1")


def check_eval(o):
    for i in o["items"]:
        end = len(i["input"].encode())
        check(set(i["arms"]) <= set(o["arms"]), f"{i['id']}: an arm without figures")
        for r in [r for a in i["arms"].values() for r in a.get("runs", [a])]:
            for s in r.get("units", []) + r["removed"] + i["pieces"]:
                check(0 <= s[0] < s[1] <= end, f"{i['id']}: {s} is out of range")
    j = o["judgement"]
    if j:
        check(sum(b["units"] for b in j["bins"]) == j["needed"] + j["distractors"], "bins: units are missing")
        check(sum(b["needed"] for b in j["bins"]) == j["needed"], "bins: needed units are missing")


def check_prune(r):
    for d in r.get("documents", []):
        at = 0
        for u in d["units"]:
            check(u["start"] == at and u["end"] > at, f"units: {u} does not begin where the last ended")
            at = u["end"]
        last = -1
        for s in d["removed"]:
            check(last < s["start"] < s["end"] <= at, f"removed: {s} out of order or out of range")
            check(len(s["text"].encode()) == s["end"] - s["start"], f"removed: {s} has another text")
            last = s["end"]


def no_duplicates(pairs):
    check(len({k for k, _ in pairs}) == len(pairs), f"a key stands twice in {pairs}")
    return dict(pairs)


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "result"
    with open(SCHEMA % kind, encoding="utf-8") as f:
        schema = json.load(f)
    other = None
    try:
        import jsonschema
        jsonschema.Draft202012Validator.check_schema(schema)
        other = jsonschema.Draft202012Validator(schema)
    except ImportError:
        pass
    text = sys.stdin.buffer.read().decode()
    decoder = json.JSONDecoder(object_pairs_hook=no_duplicates)
    at = count = 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        count += 1
        try:
            validate(value, schema, schema, kind)
            if other:
                other.validate(value)
            if kind == "eval":
                check_eval(value)
            elif kind == "prune":
                check_prune(value)
            elif "error" not in value:
                check_result(value)
        except Exception as e:
            sys.exit(f"check_result.py: value {count}: {str(e)[:1000]}")
    print(count)


if __name__ == "__main__":
    main()
