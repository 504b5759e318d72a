#!/usr/bin/env python3
"""Hidden states of the sentences of a mix, as mode select reads them, by `s2a probe`.

    read.py MIX.jsonl OUT --model NAME|FILE --layers 9,13,17 [--s2a build/release/s2a] [--part I/N]

Writes OUT.npy, float16 [sentence][layer][last, mean][width], and OUT.json: the model, and a row for each sentence:
[id, set, kind, lang, split, preset, form, start, end, label, asked]. --part reads each N-th item from the I-th on, so that
N processes share the work. Ctrl-C or SIGTERM ends the reading and writes what was read. A sentence is what its bytes are labelled; where needed ones share it with others, "mixed".
"""
import argparse, base64, json, signal, subprocess, sys, time
import numpy as np

MOST_BYTES = 9000  # of an item: longer ones would only say the same for more time


def label_of(pieces, start, end):
    share, asked = {}, 0
    for s, e, label, is_asked in pieces:
        n = max(0, min(e, end) - max(s, start))
        if n:
            share[label] = share.get(label, 0) + n
            asked += n * is_asked
    if not share:
        return 'either', False
    total = sum(share.values())
    large = [l for l, n in share.items() if n > .25 * total or n > 25]
    label = max(share, key=share.get)
    if len(large) > 1:
        label = 'needed' if share.get('needed', 0) > .5 * total else 'mixed'
    return label, asked > min(.5 * total, 25)  # a task and the text it is about are often one unit


def main():
    a = argparse.ArgumentParser()
    a.add_argument('mix')
    a.add_argument('out')
    a.add_argument('--model', required=True)
    a.add_argument('--layers', required=True)
    a.add_argument('--threads', default='0')
    a.add_argument('--s2a', default='build/release/s2a')
    a.add_argument('--part', default='0/1')
    a = a.parse_args()
    part, parts = map(int, a.part.split('/'))
    layers = [int(x) for x in a.layers.split(',')]
    probe = subprocess.Popen([a.s2a, 'probe', '--model', a.model, '--threads', a.threads, '--quiet'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    rows, states, tokens, began, said, ended = [], [], 0, time.time(), {}, []
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: ended.append(True))
    for j, item in enumerate(map(json.loads, open(a.mix, encoding='utf-8'))):
        if j % parts != part or len(item['x'].encode()) > MOST_BYTES:
            continue
        if ended:
            break
        ask = {'read': item['x'], 'layers': layers, 'preset': item['preset']}
        if item['context'] is not None:
            ask['context'] = item['context']
        if item.get('before'):
            ask['before'] = item['before']
        probe.stdin.write(json.dumps(ask).encode() + b'\n')
        probe.stdin.flush()
        said = json.loads(probe.stdout.readline())
        if 'error' in said:
            print(item['id'], said['error'], file=sys.stderr)
            continue
        read = [u for u in said['units'] if u[3]]
        got = np.frombuffer(base64.b64decode(said['states']), '<f4').reshape(len(read), len(layers), 2 * said['width'])
        tokens += said['tokens']
        for start, end, kind, _ in read:
            label, asked = label_of(item['pieces'], start, end)
            rows.append([item['id'], item['set'], item['kind'], item['lang'], item['split'], item['preset'], said['form'], start, end, label, asked])
        states.append(got.astype(np.float16))
        if j % 200 < parts:
            print('%d items, %.0f tokens a second' % (j + 1, tokens / (time.time() - began)), file=sys.stderr, flush=True)
    np.save(a.out + '.npy', np.concatenate(states))
    with open(a.out + '.json', 'w', encoding='utf-8') as f:
        json.dump({'model': a.model, 'weights_id': said['weights_id'], 'width': said['width'], 'layers': layers, 'tokens': tokens, 'rows': rows}, f, ensure_ascii=False)


if __name__ == '__main__':
    main()
