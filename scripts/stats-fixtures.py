#!/usr/bin/env python3
"""Writes tests/cases/{stats,normalise,summary}.txt: results of other people's code on our inputs.

    python3 -m venv venv && venv/bin/pip install numpy scipy statsmodels scikit-learn
    venv/bin/python scripts/stats-fixtures.py

The C tests read only the files. Each case of stats.txt names the call that made its values. The
figures of summary.txt are computed here a second time, from the definitions in summary.h.
"""
import math
import pathlib
import re
import string

import numpy
import scipy.stats
import sklearn.metrics
import statsmodels.stats.contingency_tables
import statsmodels.stats.proportion

CASES = pathlib.Path(__file__).resolve().parent.parent / "tests" / "cases"


def words(values):
    return " ".join(repr(float(v)) if not isinstance(v, (int, str)) else str(v) for v in values)


class Cases:
    def __init__(self, name, about):
        self.path, self.out, self.counts = CASES / name, [about + "\n"], {}

    def add(self, title, **fields):
        self.counts[title] = self.counts.get(title, 0) + 1
        self.out.append(f"\n=== {title} {self.counts[title]}\n")
        for name, value in fields.items():
            if "\n" in value:
                self.out.append(f"--- {name}\n{value}\n")
            else:
                self.out.append(f"--- {name}: {value}\n" if value else f"--- {name}:\n")

    def write(self):
        self.path.write_text("".join(self.out), encoding="utf-8")


# ---- statistics -----------------------------------------------------------------------------

MASK = (1 << 64) - 1


def splitmix64(seed, count):
    """The first outputs of stats_rng_next, all at once: the state is a counter."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.uint64(0x9E3779B97F4A7C15) * numpy.arange(
            1, count + 1, dtype=numpy.uint64)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def bootstrap(statistic, count, rounds, level, seed):
    """statistic: maps an index array [rounds, count] to one value a round; NaN rounds are left out."""
    raw = splitmix64(seed, count * rounds)
    assert int(raw.min()) >= (1 << 64) % count, "a value would have been drawn again"
    index = (raw % numpy.uint64(count)).astype(int).reshape(rounds, count)
    values = statistic(index)
    values = values[~numpy.isnan(values)]
    if len(values) * 2 < rounds:
        return math.nan, math.nan
    return tuple(numpy.quantile(values, [0.5 - level / 2, 0.5 + level / 2]))


def exact_power(n, p10, p01, alpha):
    """Power of McNemar's test by its normal approximation, over all outcomes of n pairs."""
    z, power = scipy.stats.norm.ppf(1 - alpha / 2), 0.0
    spread = math.sqrt(n * (p10 + p01))
    low, high = max(1, int(n * (p10 + p01) - 8 * spread)), int(n * (p10 + p01) + 8 * spread) + 1
    for d in range(low, min(n, high) + 1):
        k = numpy.arange(d + 1)
        reject = abs(2 * k - d) >= z * math.sqrt(d)
        power += scipy.stats.binom.pmf(d, n, p10 + p01) * scipy.stats.binom.pmf(
            k, d, p10 / (p10 + p01))[reject].sum()
    return power


def write_stats():
    out = Cases("stats.txt", "Written by scripts/stats-fixtures.py: values of scipy, statsmodels, "
                "scikit-learn and numpy.\nFormat: tests/support/cases.h. \"tolerance\" is "
                "relative, and absolute below 1.")
    for level in (0.9, 0.95, 0.99):
        for k, n in ((0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (1, 2), (37, 50), (0, 400),
                     (999, 1000), (123456, 1000000)):
            call = f"statsmodels proportion_confint({k}, {n}, alpha={round(1 - level, 2)}, " \
                   "method=\"wilson\")"
            low, high = statsmodels.stats.proportion.proportion_confint(
                k, n, alpha=1 - level, method="wilson")
            out.add("wilson", call=call, function="wilson", numbers=words([k, n, level]),
                    want=words([low, high]), tolerance="1e-10")

    for p in (0.5, 0.6, 0.9, 0.925, 0.9250001, 0.95, 0.975, 0.995, 0.8, 0.2, 0.025, 0.001, 1e-6,
              1e-10, 1e-12, 1e-20, 1e-100, 1e-300, 0.999999):
        out.add("normal quantile", call=f"scipy.stats.norm.ppf({p!r})", function="normal",
                numbers=words([p]), want=words([scipy.stats.norm.ppf(p)]), tolerance="1e-13")

    for b, c in ((0, 0), (1, 0), (0, 5), (5, 5), (3, 12), (12, 3), (10, 25), (40, 41), (100, 160),
                 (0, 60), (700, 800), (5000, 5200), (200, 900)):
        p = statsmodels.stats.contingency_tables.mcnemar([[7, b], [c, 9]], exact=True).pvalue
        if b == c == 0:
            p = 1.0  # statsmodels divides by zero here; stats.h says 1
        out.add("mcnemar", call=f"statsmodels mcnemar([[7, {b}], [{c}, 9]], exact=True).pvalue",
                function="mcnemar", numbers=words([b, c]), want=words([p]), tolerance="1e-9")

    for p10, p01, alpha, power in ((0.1, 0.2, 0.05, 0.8), (0.2, 0.1, 0.05, 0.8),
                                   (0.05, 0.25, 0.05, 0.9), (0.03, 0.08, 0.05, 0.8),
                                   (0.15, 0.18, 0.05, 0.8), (0.0, 0.2, 0.01, 0.8),
                                   (0.3, 0.4, 0.1, 0.95)):
        z = scipy.stats.norm.ppf
        n = math.ceil((z(1 - alpha / 2) * math.sqrt(p10 + p01) + z(power) * math.sqrt(
            p10 + p01 - (p10 - p01) ** 2)) ** 2 / (p10 - p01) ** 2)
        reached = exact_power(n, p10, p01, alpha)
        # With all discordant pairs on one side the formula's normal approximation is coarse.
        assert p10 == 0 or abs(reached - power) < 0.03, (p10, p01, n, reached)
        call = f"Connor 1987, by scipy.stats.norm.ppf; the power reached is {reached:.4f}, " \
               "summed over all outcomes by scipy.stats.binom.pmf"
        out.add("pairs needed", call=call, function="pairs", tolerance="0",
                numbers=words([p10, p01, alpha, power]), want=words([n]))

    rng = numpy.random.default_rng(1)
    for n, grain in ((8, 4), (40, 6), (40, 1000), (60, 2)):
        score = numpy.round(rng.random(n) * grain) / grain
        positive = (rng.random(n) < 0.3 + 0.4 * score).astype(int)
        out.add("auc", call="sklearn.metrics.roc_auc_score(b, a)", function="auc", a=words(score),
                b=words(int(v) for v in positive), tolerance="1e-12",
                want=words([sklearn.metrics.roc_auc_score(positive, score)]))
    for n in (1, 2, 5, 20, 21):
        a = numpy.round(rng.normal(size=n) * 100, 3)
        for q in (0.0, 0.025, 0.25, 0.5, 0.9, 1.0):
            out.add("quantile", call=f"numpy.quantile(a, {q})", function="quantile", a=words(a),
                    numbers=words([q]), want=words([numpy.quantile(a, q)]), tolerance="1e-12")
    for n, rounds, level, seed in ((1, 10, 0.95, 3), (12, 200, 0.9, 0), (50, 1000, 0.95, 7),
                                   (50, 1000, 0.95, 8), (50, 999, 0.99, MASK)):
        a = numpy.round(rng.normal(size=n) * 10, 2)
        out.add("bootstrap of the mean", function="bootstrap", a=words(a),
                call="numpy.quantile(a[index].mean(axis=1), ...), index by the same SplitMix64",
                numbers=words([rounds, level, seed]), tolerance="1e-10",
                want=words(bootstrap(lambda index: a[index].mean(axis=1), n, rounds, level, seed)))
    for base, oracle, arm in ((0.5, 0.9, 0.7), (0.5, 0.9, 0.4), (0.2, 0.3, 0.4), (0.8, 0.4, 0.6)):
        out.add("gap closed", call="(arm - base) / (oracle - base)", function="gap",
                numbers=words([base, oracle, arm]), want=words([(arm - base) / (oracle - base)]),
                tolerance="1e-12")
    out.write()


# ---- TriviaQA's normalisation ---------------------------------------------------------------

def normalize_answer(s):
    """As in the TriviaQA evaluation script (Joshi et al. 2017), step by step."""
    exclude = set(string.punctuation + "‘’´`")
    s = s.replace("_", " ").lower()
    s = "".join(" " if ch in exclude else ch for ch in s)
    s = re.sub(r"\b(a|an|the)\b", " ", s)
    return " ".join(s.split()).strip()


STRINGS = [
    "The Beatles", "  An   Apple a day ", "a", "A an THE", "", "   \t\n ", "theatre", "banana",
    "Anna", "the-end", "The_Lord_of_the_Rings", "__init__", "U.S.A.", "AC/DC", "Rock 'n' Roll",
    "O'Brien", "the’re", "‘the’", "“The Raven”", "“a”", "l´amour", "`code`", "“the“an”a”", "¿the?",
    "Café Müller", "CAFÉ", "Cafe\u0301 A\u0301", "a\u0301n", "ÉCOLE DES BEAUX-ARTS",
    "İstanbul", "ISTANBUL", "Iğdır İ", "Straße", "STRASSE", "Groß-Gerau", "ẞ",
    "ΟΔΥΣΣΕΥΣ", "ΣΟΦΟΣ ΣΑΣ.", "Σ", "ΑΣ_ΑΣ", "Ἀθῆναι", "Война и Мир", "北京市", "the 北京", "a北京",
    "東京 Tokyo", "中華人民共和国。", "서울 특별시", "ประเทศไทย", "مصر", "🙂 the 🙂", "a🙂an🙂the",
    "👩‍🚀 astronaut", "1914–1918", "1,234.50", "½ a pint", "H₂O", "Ⅷ Henry", "ﬁre", "ＡＮ ＡＰＰＬＥ",
    "the\u00a0end", "a\u2028b", "an\u200bother", "soft\u00adhyphen", "tab\tthe\x1cend", "x\x85y",
    "naïve — the dash", "Ǆ ǅ ǆ", "K Å", "#hashtag @the", "100%", "C++", "a.b.c", "the... the",
    "a½ an² aⅧ the三 a٣",
]


def write_normalise():
    out = Cases("normalise.txt", "Written by scripts/stats-fixtures.py: texts and what "
                "normalize_answer of the TriviaQA evaluation script\nmakes of them. "
                "Format: tests/support/cases.h.")
    for text in STRINGS:
        escaped = ["", ""]
        for i, value in enumerate((text, normalize_answer(text))):
            for ch in value:
                plain = ch.isprintable() and ch != "\\" and ch != " "
                inner = ch == " " and escaped[i] and escaped[i][-1] != " "
                escaped[i] += ch if plain or inner else "".join(f"\\x{b:02x}" for b in ch.encode())
            if escaped[i].endswith(" "):
                escaped[i] = escaped[i][:-1] + "\\x20"
        out.add("normalise", text=escaped[0], want=escaped[1])
    out.write()


# ---- a run and its figures ------------------------------------------------------------------

SEED, ROUNDS = 2311118290, 500

# item, group, has a wrong suggestion; for each arm the outcomes of seeds 1 and 2: 1 right, 0 wrong,
# w wrong and as suggested, - no record.
OUTCOMES = """
i1 likes  1 | plain w0 | oracle 11 | rewrite 1w
i2 likes  1 | plain ww | oracle 11 | rewrite 11
i3 likes  1 | plain 01 | oracle 11 | rewrite 01
i4 likes  1 | plain 11 | oracle 10 | rewrite 11
i5 hates  0 | plain 00 | oracle 1- | rewrite 0-
i6 hates  0 | plain -1 | oracle 11 | rewrite 11
i7 hates  0 | plain 00 | oracle 01 | rewrite 10
i8 hates  0 | plain 10 | oracle -- | rewrite 11
i9 none   0 | plain 11 | oracle 11 | rewrite --
"""
FALLBACKS = {("i3", "rewrite", 1): "no_question", ("i7", "rewrite", 2): "too_long",
             ("i4", "rewrite", 1): "no_question", ("i1", "oracle", 1): "none"}
COLUMNS = ("item arm seed correct follows unchanged fallback distractors distractors_removed "
           "needed needed_removed p1 c1 ms1 p2 c2 ms2 judged sentiment quality").split()


def make_records(judged):
    items, records = [], []
    for line in OUTCOMES.strip().splitlines():
        head, *arms = (part.split() for part in line.split("|"))
        name, group, wrong = head[0], head[1], head[2] == "1"
        items.append(dict(id=name, group=group, wrong=wrong and not judged, answers=not judged))
        for arm, outcome in arms:
            for seed, mark in enumerate(outcome, 1):
                if mark == "-":
                    continue
                i = len(records)
                step1 = arm == "rewrite"
                fallback = FALLBACKS.get((name, arm, seed))
                acts = arm != "plain" and fallback in (None, "none")
                records.append(dict(
                    item=name, arm=arm, seed=seed, correct=int(mark == "1" and not judged),
                    follows=int(mark == "w" and not judged), unchanged=int(not acts),
                    fallback=fallback or "-", distractors=2, needed=3 + i % 3,
                    distractors_removed=(1 + i % 2 if step1 else 2) if acts else 0,
                    needed_removed=i % 4 // 3 if step1 and acts else 0,
                    p1=100 + 7 * i if step1 else 0, c1=50 + i * i % 17 if step1 else 0,
                    ms1=900.5 + 13 * (i * 7 % 11) if step1 else 0.0, p2=80 + 3 * i,
                    c2=20 + i % 5, ms2=300.25 + 11 * (i * 5 % 13),
                    judged=int(judged and i % 6 != 4), sentiment=float((i * 7) % 11 - 5),
                    quality=float(1 + i * 3 % 5)))
    return items, records


def ratio(part, whole):
    return part / whole if whole else math.nan


def mean_and_interval(sums, weights):
    sums, weights = numpy.array(sums, float), numpy.array(weights, float)
    if len(sums) == 0:
        return math.nan, math.nan, math.nan
    low, high = bootstrap(lambda index: sums[index].sum(axis=1) / weights[index].sum(axis=1),
                          len(sums), ROUNDS, 0.95, SEED)
    return sums.sum() / weights.sum(), low, high


def figure(items, records, arm, group):
    chosen = [it for it in items if group is None or it["group"] == group]
    by = {}
    for r in records:
        by.setdefault((r["item"], r["arm"]), []).append(r)
    mine = [r for it in chosen for r in by.get((it["id"], arm), [])]
    n = len(mine)
    total = lambda name: sum(r[name] for r in mine)
    out = dict(items=len({r["item"] for r in mine}), n=n)
    scored = any(it["answers"] for it in items)
    nan2, nan3 = (math.nan,) * 2, (math.nan,) * 3
    out["accuracy"] = ratio(total("correct"), n) if scored else math.nan
    out["ci"] = statsmodels.stats.proportion.proportion_confint(
        total("correct"), n, method="wilson") if scored and n else nan2
    gap, difference, p, needed = nan3, nan3, math.nan, math.nan
    if scored:
        acc = lambda a, it: numpy.mean([r["correct"] for r in by[(it["id"], a)]])
        rows = numpy.array([[acc(a, it) for a in ("plain", "oracle", arm)] for it in chosen
                            if all((it["id"], a) in by for a in ("plain", "oracle", arm))])

        def closed(index):
            base, oracle, mean = (rows[index][..., k].mean(axis=-1) for k in range(3))
            with numpy.errstate(all="ignore"):
                return numpy.where(abs(oracle - base) < 1e-9, math.nan,
                                   (mean - base) / (oracle - base))
        if len(rows):
            value = float(closed(numpy.arange(len(rows))))
            gap = (value,) + (nan2 if math.isnan(value) else
                              bootstrap(closed, len(rows), ROUNDS, 0.95, SEED))
        sums, weights, lost, won = [], [], 0, 0
        for it in chosen:
            base = {r["seed"]: r["correct"] for r in by.get((it["id"], "plain"), [])}
            other = {r["seed"]: r["correct"] for r in by.get((it["id"], arm), [])}
            shared = sorted(set(base) & set(other))
            if not shared:
                continue
            sums.append(sum(other[s] - base[s] for s in shared))
            weights.append(len(shared))
            lost += base[shared[0]] > other[shared[0]]
            won += base[shared[0]] < other[shared[0]]
        difference = mean_and_interval(sums, weights)
        if sums:
            p = min(1.0, 2 * scipy.stats.binom.cdf(min(lost, won), lost + won, 0.5))
            if lost != won:
                a, b = lost / len(sums), won / len(sums)
                z = scipy.stats.norm.ppf
                needed = math.ceil((z(0.975) * math.sqrt(a + b) + z(0.8) * math.sqrt(
                    a + b - (a - b) ** 2)) ** 2 / (a - b) ** 2)
    out.update(gap_closed=gap[0], gap_ci=gap[1:], difference=difference[0],
               difference_ci=difference[1:], mcnemar_p=p, pairs_needed=needed)
    wrong = {it["id"] for it in chosen if it["wrong"]}
    misled = [r["follows"] for r in mine if r["item"] in wrong]
    out["follows_wrong"] = ratio(sum(misled), len(misled))
    out["unchanged"] = ratio(total("unchanged"), n)
    out["removal_precision"] = ratio(total("distractors_removed"),
                                     total("distractors_removed") + total("needed_removed"))
    out["removal_recall"] = ratio(total("distractors_removed"), total("distractors"))
    out["needed_kept"] = ratio(total("needed") - total("needed_removed"), total("needed"))
    judged = {it["id"]: [r for r in by.get((it["id"], arm), []) if r["judged"]] for it in chosen}
    for name, of in (("sentiment", lambda r: r["sentiment"]),
                     ("objectivity", lambda r: 5 - abs(r["sentiment"])),
                     ("quality", lambda r: r["quality"])):
        lists = [rs for rs in judged.values() if rs]
        value, low, high = mean_and_interval([sum(map(of, rs)) for rs in lists],
                                             [len(rs) for rs in lists])
        out[name] = value
        if name != "sentiment":
            out[name + "_ci"] = (low, high)
    out["step1_tokens"] = ratio(total("p1") + total("c1"), n)
    out["step1_completion_tokens"] = ratio(total("c1"), n)
    out["step2_tokens"] = ratio(total("p2") + total("c2"), n)
    out["step1_ms"] = float(numpy.median([r["ms1"] for r in mine])) if n else math.nan
    out["step2_ms"] = float(numpy.median([r["ms2"] for r in mine])) if n else math.nan
    out["fallbacks"] = sum(r["fallback"] not in ("-", "none") for r in mine)
    return out


def write_summary():
    out = Cases("summary.txt", "Written by scripts/stats-fixtures.py: runs by hand and their "
                "figures, worked out by numpy, scipy and statsmodels.\n"
                "items: id, group, whether it has answers, whether it has a wrong suggestion.\n"
                "records: " + " ".join(COLUMNS[:7]) + "\n" + " ".join(COLUMNS[7:]) + ".\n"
                "want: arm, group (* = all), figure, value or interval. "
                "Format: tests/support/cases.h.")
    for title, judged in (("questions", False), ("arguments", True)):
        items, records = make_records(judged)
        want = []
        for group in (None, "likes", "hates", "none"):
            for arm in ("plain", "oracle", "rewrite"):
                for name, value in figure(items, records, arm, group).items():
                    values = value if isinstance(value, tuple) else (value,)
                    want.append(f"{arm} {group or '*'} {name} {words(values)}")
        out.add(title, rounds=str(ROUNDS), arms="plain oracle rewrite",
                items="\n".join(f"{it['id']} {it['group']} {int(it['answers'])} {int(it['wrong'])}"
                                for it in items),
                records="\n".join(words(r[c] for c in COLUMNS) for r in records),
                want="\n".join(want))
    out.write()


write_stats()
write_normalise()
write_summary()
