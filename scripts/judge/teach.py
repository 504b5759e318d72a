#!/usr/bin/env python3
"""Teaches the heads of mode select from what read.py wrote, and says what they reach on kinds that were left out.

    teach.py STATES[,STATES...] --layers 13,17 --hidden 64 --model NAME --head OUT.head --table OUT.csv [--scores OUT.csv]

Each row of a head is a logistic regression on the states, last and mean, of the layers, or, with --hidden, the sum of one and a
small net whose hidden units the rows of a form share; each set of items has its own weight (the square root of its sentences), both
sides of a row the same. For every figure a group of items is left out of the teaching and
judged: each public data set by itself (AgentDojo by
suites), the kinds of our own corpus in six groups; of passages, a fifth of the items. From these held-out scores come the log-odds
(Platt), the borders and the table. data/labelled/held is never taught. Items whose id ends in /mixed are taught and nothing else.
Where a score is below the border, the second border holds, as in the product (src/core/select.c).
"""
import argparse, collections, csv, hashlib, json, warnings
import numpy as np
from mix import fold
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings('ignore')
MATHS = {'maths', 'plus', 'problemathic', 'gsm8k', 'cmath', 'mgsm'}
PUBLIC = MATHS | {'qa', 'arguments', 'ifeval', 'arena', 'notinject', 'hotpot', 'multispan', 'cmrc', 'agentdojo', 'bipia', 'failing'}
COST = .001
CLEAN = .99  # of clean prompts of kinds left out come back as they were: the border removes what it can beyond that
DOCUMENTS = .96  # the same of documents without an order
SECOND = .99  # of the needed sentences of prompts with one below the border stay: the second border removes what it can beyond that
SECOND_UNITS = 16  # of the sentences that may go, one in so many has to be below the border (select.c)


def load(names, layers, pool):
    """States of the layers, [sentence][layer, pool, width], not a number where a file has not the layer, rows, and what the first file
    says of the model. Of an item that is in several files the first one counts."""
    states, rows, head, seen = [], [], None, set()
    for name in names:
        info = json.load(open(name + '.json', encoding='utf-8'))
        width, found = info['width'], np.load(name + '.npy', mmap_mode='r')
        take = [i for i, r in enumerate(info['rows']) if r[0] not in seen]
        seen |= {r[0] for r in info['rows']}
        part = np.full((len(take), len(layers), len(pool), width), np.nan, np.float32)
        for l, layer in enumerate(layers):
            if layer in info['layers']:
                both = found[take, info['layers'].index(layer)].reshape(len(take), 2, width)
                part[:, l] = both[:, [{'last': 0, 'mean': 1}[p] for p in pool]]
        states.append(part.reshape(len(take), -1))
        rows += [info['rows'][i] for i in take]
        head = head or info
    x = np.concatenate(states)
    # without all layers only passages are of use
    use = [i for i, r in enumerate(rows) if r[9] in ('support', 'idle') or not np.isnan(x[i, -1])]
    return x[use], [rows[i] for i in use], head


def set_weights(y, sets):
    w = np.ones(len(y))
    for s in set(sets):
        a = sets == s
        w[a] = np.sqrt(a.sum()) / a.sum()
    for side in (False, True):
        w[y == side] *= len(y) / 2 / w[y == side].sum()
    return w / w.mean()


class Row:
    """One logistic regression: what is taught, and what it says of those who were not."""

    def __init__(self, x, y, sets):
        self.there = ~np.isnan(x).any(0)  # layers that all of them were read in
        x = x[:, self.there]
        self.mean, self.deviation = x.mean(0), x.std(0) + 1e-6
        self.fit = LogisticRegression(C=COST, max_iter=80, tol=1e-3).fit((x - self.mean) / self.deviation, y, sample_weight=set_weights(y, sets))

    def weights(self):
        w = np.zeros(len(self.there))
        w[self.there] = self.fit.coef_[0] / self.deviation
        return w, self.fit.intercept_[0] - (w[self.there] * self.mean).sum()

    def __call__(self, x):
        return self.fit.decision_function((x[:, self.there] - self.mean) / self.deviation)


class Net:
    """Rows that share hidden units: y and use are [sentence][row], use says which sentences teach a row. Adam, dropout of states
    and of units; every seed gives a net, and their mean is taken, which is one net with the units of all."""
    STEPS, BATCH, RATE, DROP, LINEAR, DENSE = 1000, 256, 1e-3, .3, 1e-2, 1e-3

    def __init__(self, x, y, use, sets, hidden, seeds):
        import jax
        import jax.numpy as jnp
        self.mean, self.deviation = x.mean(0), x.std(0) + 1e-6
        weight = np.zeros(y.shape, np.float32)
        for k in range(y.shape[1]):
            weight[use[:, k], k] = set_weights(y[use[:, k], k], sets[use[:, k]])
        target, mean, deviation = y.astype(np.float32), self.mean, self.deviation

        def out(p, v, key=None):
            z = (v - mean) / deviation
            keep = lambda key, a: a if key is None else a * jax.random.bernoulli(key, 1 - self.DROP, a.shape) / (1 - self.DROP)
            a, b = (None, None) if key is None else jax.random.split(key)
            return z @ p['linear'] + p['offset'] + keep(b, jax.nn.silu(keep(a, z) @ p['units'] + p['bias'])) @ p['mix']

        def loss(p, v, t, w, key):
            o = out(p, v, key)
            return ((jnp.logaddexp(0, jnp.where(t > 0, -o, o)) * w).mean() + self.LINEAR * (p['linear'] ** 2).sum()
                    + self.DENSE * ((p['units'] ** 2).sum() + (p['mix'] ** 2).sum()))

        @jax.jit
        def step(p, one, two, v, t, w, n, key):
            g = jax.grad(loss)(p, v, t, w, key)
            one = jax.tree.map(lambda a, b: .9 * a + .1 * b, one, g)
            two = jax.tree.map(lambda a, b: .99 * a + .01 * b * b, two, g)
            rate = self.RATE * jnp.minimum(1, n / 50) * jnp.sqrt(jnp.maximum(0, 1 - n / self.STEPS))
            return jax.tree.map(lambda q, a, b: q - rate * (a / (1 - .9 ** n)) / (jnp.sqrt(b / (1 - .99 ** n)) + 1e-8), p, one, two), one, two

        self.nets = []
        for seed in range(seeds):
            rng, key = np.random.default_rng(seed), jax.random.PRNGKey(seed)
            a, b, key = jax.random.split(key, 3)
            p = {'linear': jnp.zeros((x.shape[1], y.shape[1])), 'offset': jnp.zeros(y.shape[1]), 'bias': jnp.zeros(hidden),
                 'units': jax.random.normal(a, (x.shape[1], hidden)) / x.shape[1] ** .5, 'mix': .3 * jax.random.normal(b, (hidden, y.shape[1])) / hidden ** .5}
            one, two = jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p)
            for n in range(1, self.STEPS + 1):
                i = rng.integers(0, len(x), self.BATCH)
                key, k = jax.random.split(key)
                p, one, two = step(p, one, two, x[i], target[i], weight[i], float(n), k)
            self.nets.append({k: np.asarray(v, np.float64) for k, v in p.items()})

    def __call__(self, x):
        z, total = (x - self.mean) / self.deviation, 0
        for p in self.nets:
            h = z @ p['units'] + p['bias']
            total = total + z @ p['linear'] + p['offset'] + h / (1 + np.exp(-h)) @ p['mix']
        return total / len(self.nets)

    def rows(self):
        """For each row its weights and constant."""
        w = sum(p['linear'] for p in self.nets) / len(self.nets) / self.deviation[:, None]
        b = sum(p['offset'] for p in self.nets) / len(self.nets) - self.mean @ w
        return [(w[:, k], b[k]) for k in range(w.shape[1])]

    def units(self):
        """For each hidden unit its weights, its constant, and what the rows make of it."""
        found = []
        for p in self.nets:
            w = p['units'] / self.deviation[:, None]
            b = p['bias'] - self.mean @ w
            found += [(w[:, u], b[u], p['mix'][u] / len(self.nets)) for u in range(w.shape[1])]
        return found


def platt(value, y):
    m = LogisticRegression(C=1e6).fit(value[:, None], y)
    return m.coef_[0][0], m.intercept_[0]


def auc(good, other):
    if not len(good) or not len(other):
        return float('nan')
    r = rankdata(np.r_[good, other])
    return (r[:len(good)].sum() - len(good) * (len(good) + 1) / 2) / (len(good) * len(other))


def main():
    a = argparse.ArgumentParser()
    a.add_argument('states')
    a.add_argument('--layers', required=True)
    a.add_argument('--model', required=True)
    a.add_argument('--head')
    a.add_argument('--table')
    a.add_argument('--scores')
    a.add_argument('--reliability', help='CSV: of sentences with about that score, how many should be kept')
    a.add_argument('--pool', default='last,mean')
    a.add_argument('--hidden', type=int, default=0, help='units of the form again')
    a.add_argument('--hidden-apart', type=int, default=0, help='units of the row apart-order')
    a.add_argument('--seeds', type=int, default=1)
    a = a.parse_args()
    at = [int(l) for l in a.layers.split(',')]
    pool = a.pool.split(',')
    x, rows, info = load(a.states.split(','), at, pool)
    width = info['width']
    id_, set_, kind, lang, split, preset, form, start, end, label, asked = [np.array(c) for c in zip(*rows)]
    held = np.char.startswith(set_.astype(str), 'held')
    own = ~np.isin(set_, list(PUBLIC)) & ~held
    taught = ~held & (set_ != 'failing')
    mixed = np.char.endswith(id_.astype(str), '/mixed')
    group = np.array([s if s in PUBLIC and s != 'agentdojo' else 'own %d' % fold(s, k) for s, k in zip(set_, kind)])
    group[np.isin(set_, list(MATHS))] = 'maths'
    group[held] = 'held'

    items_fold = np.array(['items %d' % (int(hashlib.md5(i.encode()).hexdigest(), 16) % 5) for i in id_])

    def side(row):
        if row == 'again-asked':
            return own & (form == 'again') & np.isin(label, ['needed', 'unrelated', 'opinion']), asked.astype(bool)
        of, against = row.split('-')
        good = 'support' if against == 'support' else 'needed'
        bad = {'support': 'idle'}.get(against, against)
        return (form == of) & np.isin(label, [good, bad]), label == good

    names = ['again-unrelated', 'again-opinion', 'again-asked', 'apart-support', 'apart-order']
    odds, maps, offsets, units = {}, [], [], []
    for of, hidden in (('again', a.hidden), ('apart', a.hidden_apart)):
        rows_of = [n for n in names if n.startswith(of)]
        here = form == of
        used, good = [np.stack(c, 1) for c in zip(*map(side, rows_of))]
        used &= (taught & here)[:, None]
        value = np.full(good.shape, np.nan)

        # passages are few, and not all of them were read in all layers
        shared = [k for k, n in enumerate(rows_of) if hidden and n != 'apart-support']

        def fit_net(use):
            t = use[:, shared].any(1)
            return Net(x[t], good[t][:, shared], use[t][:, shared], set_[t], hidden, a.seeds)

        def fit_row(use, k):
            return Row(x[use[:, k]], good[use[:, k], k], set_[use[:, k]])

        def left_out(left, ks, fit):
            """Values of rows ks, each group by what was taught without it."""
            for g in sorted(set(left[here])):
                at_g = here & (left == g)
                value[np.ix_(at_g, ks)] = fit(used & (left != g)[:, None])(x[at_g]).reshape(-1, len(ks))

        if shared:
            left_out(group, shared, fit_net)
        alone = [k for k in range(len(rows_of)) if k not in shared]
        for k in alone:  # three sets of passages are one kind: of them items are left out
            left_out(items_fold if rows_of[k] == 'apart-support' else group, [k], lambda use: fit_row(use, k))
        net = fit_net(used) if shared else None
        of_row = dict(zip(shared, net.rows())) if shared else {}
        of_row.update((k, fit_row(used, k).weights()) for k in alone)
        scales = []
        for k, row in enumerate(rows_of):
            u, y = used[:, k] & ~mixed, good[:, k]
            scale, offset = platt(value[u, k], y[u])
            odds[row] = scale * value[:, k] + offset
            w, b = of_row[k]
            maps.append(scale * w)
            offsets.append(scale * b + offset)
            scales.append(scale)
            print('%-16s %6d taught, AUC left out %.4f' % (row, used[:, k].sum(), auc(value[u & y, k], value[u & ~y, k])), flush=True)
        units.append([(w, b, [mix[shared.index(k)] * scales[k] if k in shared else 0 for k in range(len(rows_of))])
                      for w, b, mix in (net.units() if shared else [])])

    again, apart = (form == 'again') & ~mixed, (form == 'apart') & ~mixed  # from here on: what is counted
    low = np.minimum(odds['again-unrelated'], odds['again-opinion'])
    auto = low - np.log1p(np.exp(-np.abs(odds['again-unrelated'] - odds['again-opinion'])))
    items = collections.defaultdict(list)
    for i in range(len(label)):
        items[id_[i], form[i]].append(i)

    item_of = np.zeros(len(label), int)
    for n, v in enumerate(items.values()):
        item_of[v] = n

    def triggered(score, spare, border):
        """Of each sentence, whether its item holds one below the border."""
        may = ~spare
        below, all_ = (np.bincount(item_of, w, len(items)) for w in (may & (score < border), may))
        return ((below > 0) & (below * SECOND_UNITS >= all_))[item_of]

    def judged(score, spare, which, border, second):
        """(items, clean, clean unchanged, needed kept, removed by label) of the items in which."""
        goes = (score < np.where(triggered(score, spare, border), second, border)) & ~spare
        clean = [v for (k, f), v in items.items() if which[v[0]] and np.isin(label[v], ['needed', 'either', 'support']).all()]
        unchanged = np.mean([not goes[v].any() for v in clean]) if clean else float('nan')
        share = lambda l: goes[which & (label == l)].mean() if (which & (label == l)).any() else float('nan')
        return len({id_[i] for i in np.where(which)[0]}), len(clean), unchanged, 1 - share('needed'), share('unrelated'), share('opinion'), share('order')

    nobody = np.zeros(len(label), bool)
    is_asked = odds['again-asked'] >= 0

    def border_of(score, spare, which, clean):
        best = -20.
        for b in np.arange(-8, .01, .05):
            if judged(score, spare, which, b, b)[2] >= clean:
                best = b
        return round(float(best), 2)

    def second_of(score, spare, which, border):
        needed = which & (label == 'needed') & triggered(score, spare, border)
        best = border
        for b in np.arange(border, .01, .05):
            if (spare | (score >= b))[needed].mean() >= SECOND:
                best = b
        return round(float(best), 2)

    borders = {'auto': border_of(auto, is_asked, again & taught, CLEAN)}
    borders['opinion'] = borders['auto']
    borders['untrusted'] = border_of(odds['apart-order'], nobody, apart & taught & (preset == 'untrusted'), DOCUMENTS)
    good, idle = [odds['apart-support'][apart & (label == l)] for l in ('support', 'idle')]
    borders['relevance'] = round(float(np.quantile(good, .025)), 2) if len(good) else -20.
    second = dict(borders)
    second['auto'] = second['opinion'] = second_of(auto, is_asked, again & taught, borders['auto'])
    second['untrusted'] = second_of(odds['apart-order'], nobody, apart & taught & (preset == 'untrusted'), borders['untrusted'])
    print('borders', borders, 'second', second)
    if len(good):
        b = borders['relevance']
        for s in ('hotpot', 'multispan', 'cmrc'):
            w = apart & (set_ == s)
            g, n = odds['apart-support'][w & (label == 'support')], odds['apart-support'][w & (label == 'idle')]
            if len(g):
                print('  %-10s AUC %.3f, support kept %.3f, idle removed %.3f' % (s, auc(g, n), (g >= b).mean(), (n < b).mean()))
    table = []
    for name, score, spare, which, b in (('auto', auto, is_asked, again, borders['auto']), ('untrusted', odds['apart-order'], nobody, apart & (preset == 'untrusted'), borders['untrusted'])):
        for s in ['all that is taught'] + sorted(set(set_[which])):
            w = which & (taught if s.startswith('all') else set_ == s)
            if w.any():
                bad = w & np.isin(label, ['unrelated', 'opinion', 'order'])
                table.append((name, b, second[name], s) + judged(score, spare, w, b, second[name]) + (auc(score[w & (label == 'needed')], score[bad]),))
        for l in sorted(set(lang[which])):
            w = which & (lang == l) & (own | held)
            if name == 'auto' and w.any():
                table.append((name, b, second[name], 'language ' + l) + judged(score, spare, w, b, second[name]) + (auc(score[w & (label == 'needed')], score[w & np.isin(label, ['unrelated', 'opinion'])]),))
    head = 'preset border second group items clean clean_unchanged needed_kept unrelated_removed opinion_removed order_removed auc'.split()
    for r in table:
        print('%-9s %6.2f %6.2f %-20s %5d %5d' % r[:6] + ''.join('  %.3f' % v if v == v else '      -' for v in r[6:]))
    if a.table:
        with open(a.table, 'w', newline='') as f:
            out = csv.writer(f, lineterminator='\n')
            out.writerow(['model', 'layers', 'pool'] + head)
            for r in table:
                out.writerow([a.model, a.layers, a.pool] + [('%.4f' % v if v == v else '') if isinstance(v, float) else v for v in r])
    if a.scores:
        with open(a.scores, 'w', newline='') as f:
            out = csv.writer(f, lineterminator='\n')
            out.writerow('id set kind lang form label asked score unrelated opinion asked_odds support order'.split())
            for i in range(len(label)):
                s = auto[i] if form[i] == 'again' else odds['apart-order'][i]
                out.writerow([id_[i], set_[i], kind[i], lang[i], form[i], label[i], asked[i], '%.3f' % s] + ['%.3f' % odds[r][i] for r in names])
    if a.reliability:
        with open(a.reliability, 'w', newline='') as f:
            out = csv.writer(f, lineterminator='\n')
            out.writerow('preset from to sentences said should_be_kept'.split())
            edges = [-99, -3, -2, -1, -.5, 0, .5, 1, 2, 3, 4, 99]
            for name, score, use in (('auto', auto, again & taught & np.isin(label, ['needed', 'unrelated', 'opinion'])), ('untrusted', odds['apart-order'], apart & taught & np.isin(label, ['needed', 'order']))):
                for low_, high in zip(edges, edges[1:]):
                    b = use & (score >= low_) & (score < high)
                    if b.sum() >= 20:
                        out.writerow([name, low_, high, b.sum(), '%.3f' % (1 / (1 + np.exp(-score[b]))).mean(), '%.3f' % (label[b] == 'needed').mean()])
    if a.head:
        lines = ['s2a-head 1', 'model ' + a.model, 'weights ' + info['weights_id'], 'width %d' % width, 'layers ' + a.layers.replace(',', ' '),
                 *(key + ' auto %(auto)g opinion %(opinion)g relevance %(relevance)g untrusted %(untrusted)g' % t for key, t in (('border', borders), ('second', second)))]
        data = b''

        def numbers_of(w):  # a head has both, last and mean
            nonlocal data
            m = np.zeros((len(at), 2, width))
            m[:, [{'last': 0, 'mean': 1}[p] for p in pool]] = w.reshape(len(at), len(pool), width)
            quantum = np.abs(m).max() / 32767
            data += np.round(m / quantum).astype('<i2').tobytes()
            return quantum

        for of, first, count in ((0, 0, 3), (1, 3, 2)):
            for row, w, b in list(zip(names, maps, offsets))[first:first + count]:
                lines.append('row %s offset %.9g scale %.9g' % (row, b, numbers_of(w)))
            for w, b, mix in units[of]:
                lines.append('unit offset %.9g scale %.9g mix %s' % (b, numbers_of(w), ' '.join('%.9g' % m for m in mix)))
        open(a.head, 'wb').write(('\n'.join(lines) + '\n\n').encode() + data)


main()
