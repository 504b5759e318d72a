"""A model behind `s2a probe`, and the labels of an item's units."""
import json
import subprocess


class Probe:
    def __init__(self, binary, model, extra=()):
        self.process = subprocess.Popen([binary, "probe", "--model", model, "--quiet", *extra], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write((json.dumps(line) + "\n").encode())
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def units(self, x):
        """[(start, end, text, kind, is_question)], offsets in bytes."""
        raw = x.encode()
        return [(s, e, raw[s:t].decode(errors="replace").strip(), kind, question)
                for s, e, t, kind, question in self.ask({"segment": x})["units"]]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def label_of(item, start, end):
    """needed, distractor, mixed, or None: what most of the unit's bytes are."""
    share = {}
    for s, e, label in item["pieces"]:
        n = min(e, end) - max(s, start)
        if n > 0:
            share[label] = share.get(label, 0) + n
    return max(share, key=share.get) if share else None


def auc(positive, negative):
    """Area under the ROC curve; ties count half."""
    if not positive or not negative:
        return float("nan")
    ranked = sorted([(v, 1) for v in positive] + [(v, 0) for v in negative])
    total, i = 0.0, 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        total += sum(flag for _, flag in ranked[i:j]) * (i + j + 1) / 2
        i = j
    n = len(positive)
    return (total - n * (n + 1) / 2) / (n * len(negative))


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, int(q * len(values))))] if values else float("nan")
