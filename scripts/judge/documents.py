#!/usr/bin/env python3
"""How s2a prune ranks and prunes documents, on HotpotQA (distractor setting, JSON lines).

usage: scripts/judge/documents.py [--items N] [--reversed N] [--model NAME] [--tool S2A] DATA
  --items N      questions (default 40), each with its two supporting paragraphs and four others, of which the
                 first three sentences and all supporting ones, in a fixed pseudo-random order
  --reversed N   of the first N the documents are also judged in reverse order (default 20)
  --keep-output DIR   read and write the tool's output there, to go on where a run stopped

Prints: how often a supporting paragraph ranks first, and both rank first and second, by ways to make a document's
score of its units' scores; what is kept of supporting sentences and of all bytes; how often nothing reached the
threshold; and how often a decision changes with the order.
"""
import argparse
import json
import math
import random
import subprocess
import sys
from pathlib import Path


def items_of(path, count):
    chance = random.Random(3)
    items = []
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        facts = {tuple(f) for f in row["supporting_facts"]}
        titles = {t for t, _ in facts}
        supporting = [c for c in row["context"] if c[0] in titles]
        if len(supporting) != 2:
            continue
        paragraphs = supporting + [c for c in row["context"] if c[0] not in titles][:4]
        chance.shuffle(paragraphs)
        documents = []
        for title, sentences in paragraphs:
            needed = {k for k in range(len(sentences)) if (title, k) in facts}
            shown = sorted(set(range(min(3, len(sentences)))) | needed)
            documents.append({"text": "".join(sentences[k] for k in shown).strip(), "supporting": title in titles,
                              "facts": [sentences[k].strip() for k in sorted(needed)]})
        items.append({"id": len(items), "question": row["question"], "documents": documents})
        if len(items) == count:
            break
    return items


def prune(items, tool, model, kept):
    text = "".join(json.dumps(i) + "\n" for i in items)
    command = [tool, "prune", "--jsonl", "--quiet", *(["--model", model] if model else [])]
    if not kept:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    else:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
        with open(kept, "a", encoding="utf-8") as out:
            subprocess.run([*command, "--resume", str(kept)], input=text, stdout=out, text=True, check=True)
        done = kept.read_text(encoding="utf-8")
    return sorted((json.loads(line) for line in done.splitlines()), key=lambda r: r["id"])


def top(n):
    return lambda s: sum(sorted(s)[-n:]) / min(n, len(s))


WAYS = {"highest": max, "mean of the two highest": top(2), "mean of all": lambda s: sum(s) / len(s),
        "log-sum-exp": lambda s: math.log(sum(map(math.exp, s)))}


def score_of(documents, name):
    return lambda i: WAYS[name]([u["score"] for u in documents[i]["units"] if u["score"] is not None])


def ranking(results):
    for name in WAYS:
        first = both = 0
        for r in results:
            places = sorted(range(len(r["documents"])), key=score_of(r["documents"], name), reverse=True)
            right = [r["documents"][i]["metadata"]["supporting"] for i in places]
            first += right[0]
            both += right[0] and right[1]
        print(f"{name}: a supporting document ranks first in {first} of {len(results)}, both before all others in {both}")


def pruning(results, items):
    facts = kept = before = after = other_before = other_after = none = 0
    for r, item in zip(results, items):
        units = [u for d in r["documents"] for u in d["units"] if u["score"] is not None]
        none += all(u["score"] < r["threshold"] for u in units)
        for d, given in zip(r["documents"], item["documents"]):
            facts += len(given["facts"])
            kept += sum(f in d["pruned_text"] for f in given["facts"])
            before += len(given["text"])
            after += len(d["pruned_text"])
            if not given["supporting"]:
                other_before += len(given["text"])
                other_after += len(d["pruned_text"])
    print(f"supporting sentences kept: {kept} of {facts}; of all text {100 * after / before:.0f} % is kept, of the other "
          f"documents {100 * other_after / other_before:.0f} %; nothing reached the threshold in {none} of {len(results)}")


def order(results, turned):
    changed = total = 0
    difference, start = [], []
    same = dict.fromkeys(WAYS, 0)
    for a, b in zip(results, turned):
        straight, back = a["documents"], b["documents"][::-1]
        for d, e in zip(straight, back):
            for u, v in zip(d["units"], e["units"]):
                total += 1
                changed += u["kept"] != v["kept"]
                difference.append(abs(u["score"] - v["score"]))
        for first, last in ((straight[0], back[0]), (back[-1], straight[-1])):
            start += [u["score"] - v["score"] for u, v in zip(first["units"][1:], last["units"][1:])]
        for name in WAYS:
            best = [max(range(len(d)), key=score_of(d, name)) for d in (straight, back)]
            same[name] += best[0] == best[1]
    difference.sort()
    print(f"order reversed, {len(turned)} questions: {changed} of {total} decisions change; scores differ by "
          f"{difference[total // 2]:.2f} in the median; sentences of the document that stands first, after its own first "
          f"one, score {sum(start) / len(start):.2f} higher in the mean than when it stands last")
    for name, count in same.items():
        print(f"{name}: the same document ranks first in {count} of {len(turned)}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--reversed", type=int, default=20)
    parser.add_argument("--model")
    parser.add_argument("--tool", default=str(Path(__file__).resolve().parents[2] / "build/release/s2a"))
    parser.add_argument("--keep-output", type=Path)
    parser.add_argument("data")
    o = parser.parse_args()
    items = items_of(o.data, o.items)
    turned = [{**i, "documents": i["documents"][::-1]} for i in items[:o.reversed]]
    paths = [o.keep_output and o.keep_output / name for name in ("straight.jsonl", "reversed.jsonl")]
    results = prune(items, o.tool, o.model, paths[0])
    ranking(results)
    pruning(results, items)
    if turned:
        order(results, prune(turned, o.tool, o.model, paths[1]))


if __name__ == "__main__":
    sys.exit(main())
