#!/usr/bin/env python3
"""How far a text that is read in windows gets the scores that it gets in one: Spearman's correlation of the scores of its sentences.

    windows.py --model 0.5b --data DIR [--texts 20] [--join 1] [--window 400] [--csv OUT.csv]

The texts are passages of HotpotQA, ten paragraphs each (--join N: N rows' one after the other), with the first row's question behind
them (auto) and given apart (relevance, untrusted). --presets names some of these. --long N: seconds for texts of up to N thousand tokens instead, each twice as long as the one before."""
import argparse, csv, json, os, subprocess
from scipy.stats import spearmanr


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--model', required=True)
    a.add_argument('--data', required=True)
    a.add_argument('--texts', type=int, default=20)
    a.add_argument('--join', type=int, default=1)
    a.add_argument('--presets', default='auto,relevance,untrusted')
    a.add_argument('--window', type=int, default=400)
    a.add_argument('--long', type=int)
    a.add_argument('--csv')
    a.add_argument('--s2a', default='build/release/s2a')
    a = a.parse_args()
    probe = subprocess.Popen([a.s2a, 'probe', '--model', a.model, '--quiet'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(**line):
        probe.stdin.write(json.dumps(line).encode() + b'\n')
        probe.stdin.flush()
        said = json.loads(probe.stdout.readline())
        if 'error' in said:
            raise SystemExit(said['error'])
        return said

    rows = [json.loads(line) for line in open(os.path.join(a.data, 'hotpotqa_distractor.jsonl'), encoding='utf-8')]
    text_of = lambda row: ' '.join(s.strip() for _, ss in row['context'] for s in ss if s.strip())
    out = []
    if a.long:
        words, i, most = '', 0, 2
        while most <= a.long:
            while len(words) < most * 4000:
                words += text_of(rows[i % len(rows)]) + '\n\n'
                i += 1
            said = ask(judge=words + rows[0]['question'])
            out.append(['auto', len(words.encode()), said['tokens'], round(said['ms'] / 1e3, 2)])
            print('%d bytes, %d tokens read, %.1f s' % tuple(out[-1][1:]), flush=True)
            most *= 2
        head = ['preset', 'bytes', 'tokens_read', 'seconds']
    else:
        head = ['preset', 'texts', 'window', 'sentences', 'spearman', 'least_of_a_text', 'decided_alike']
        for preset in a.presets.split(','):
            one, many, least, alike = [], [], 1, 0
            for at in range(0, a.texts * a.join, a.join):
                row, text = rows[at], '\n\n'.join(map(text_of, rows[at:at + a.join]))
                line = dict(judge=text + '\n\n' + row['question'], preset=preset)
                if preset != 'auto':
                    line['context'] = len((text + '\n\n').encode())
                both = [[u for u in ask(**line, window=w)['units'] if u[3]] for w in (100000, a.window)]
                x, y = [[u[2] for u in b] for b in both]
                one += x
                many += y
                least = min(least, spearmanr(x, y).statistic)
                alike += sum(p[4] == q[4] for p, q in zip(*both))
            out.append([preset, a.texts, a.window, len(one), round(float(spearmanr(one, many).statistic), 4), round(float(least), 4), round(alike / len(one), 4)])
            print(*['%s %s' % p for p in zip(head, out[-1])], sep=', ', flush=True)
    if a.csv:
        with open(a.csv, 'w', newline='') as f:
            w = csv.writer(f, lineterminator='\n')
            w.writerow(head)
            w.writerows(out)


main()
