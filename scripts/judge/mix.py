#!/usr/bin/env python3
"""The labelled mix that the judge is taught and measured with: one item a line, in a fixed order.

    mix.py OUT.jsonl [--data DIR] [--seed 3]        DIR: the public data sets (scripts/judge/README.md says which); without it the corpus of data/labelled alone

An item: {"id", "set", "kind", "lang", "split": "train" | "test", "preset", "context": bytes of the context given apart or null,
          "x": the prompt, "pieces": [[start, end, label, asked]]}, offsets in bytes of x. Labels are those of data/labelled/README.md, and:
  support, idle   of a passage: holds what the question needs, or does not; nothing is said of whether it may go
  mixed           holds both; neither taught nor counted
"""
import argparse, glob, hashlib, json, os, random, re

HERE = os.path.dirname(os.path.abspath(__file__))
LABELLED = os.path.join(HERE, '..', '..', 'data', 'labelled')
PEOPLE = 'Ada Bruno Chen Dina Emeka Fatima George Ivy Jonas Kim Luis Mei Nora Omar Paula Quinn Rosa Sven Tara Umar Vera Wes Zoe'.split()
KIN = ['', "'s brother", "'s sister", "'s cousin", "'s friend", "'s boss", "'s father", "'s roommate", "'s neighbour", "'s aunt"]
NOISE = ['{r} owns {n} pairs of socks.', 'Last year {r} watched {n} films.', '{r} drove {n} miles to work yesterday.', 'The town where {r} lives has {n} bridges.', 'The dog of {r} ate {n} biscuits this morning.',
         'There are {n} chairs in the office of {r}.', '{r} once won {n} medals in swimming.', '{r} got {n} e-mails on Monday.', 'The car of {r} has {n} thousand miles on it.', 'The bus that {r} takes stops {n} times.',
         'The house of {r} was built {n} years ago.', 'A ticket to the zoo costs {n} dollars.', 'The library is {n} blocks away.', 'Yesterday it rained for {n} hours.', 'It was {n} degrees outside.',
         '{r} prefers tea to coffee.', 'The weather was lovely that day.', '{r} likes the colour green.', '{r} has a cat named Pixel.', 'Everybody agrees that {r} is very kind.', 'The radio was playing an old song.',
         '{r} is {n} years old.', 'The height of {r} is {n} feet.', 'The shoe size of {r} is {n}.', '{r} bought {n} newspapers.', 'The turtle of {r} weighs {n} pounds.', '{r} read {n} pages before bed.', 'The grandmother of {r} knitted {n} scarves.']
MORE_NOISE = ['{r} has been to the theatre {n} times.', 'The lift in the building of {r} holds {n} people.', 'A bakery in Lisbon opened {n} years ago.', '{r} swims {n} lengths every Friday.', 'The bridge near the station has {n} lamps.', 'The choir of {r} has {n} members.',
              '{r} keeps {n} stamps in a drawer.', 'A poster on the wall shows {n} birds.', 'The phone of {r} has {n} percent of its battery left.', '{r} slept {n} minutes on the bus.', 'In the garden of {r} grow {n} tulips.', 'The clock in the hall is {n} minutes slow.', '{r} painted {n} fences last summer.',
              'A new tram line with {n} stops opened in March.', "{r}'s favourite song lasts {n} minutes.", 'The postman brought {r} {n} letters.', '{r} knows {n} card tricks.', 'The moon was visible for {n} nights.', 'The coat of {r} has {n} pockets.', 'A farmer two villages away keeps {n} goats.', '{r} has {n} unread messages.',
              'The lake is {n} kilometres from the house of {r}.', '{r} ran {n} laps on Sunday.', 'The cinema sold {n} tickets for the late show.', 'There were {n} people in the queue behind {r}.', '{r} has a scar that is {n} centimetres long.', 'The radio station plays {n} songs an hour.', '{r} broke {n} cups this year.', 'The hotel down the road has {n} rooms.',
              'The uncle of {r} collects {n} kinds of coins.', 'It snowed on {n} days last winter.', '{r} takes {n} sugars in the tea.', 'The dictionary of {r} has {n} pages.', '{r} once met {n} famous singers.', 'The shop next door closes {n} minutes late.', "{r}'s bicycle has {n} gears.", 'The piano of {r} is {n} years old.', 'On the roof sat {n} pigeons.',
              '{r} wore a yellow hat.', 'The neighbours of {r} are very quiet.', '{r} dislikes olives.', 'A light wind was blowing.', 'The curtains in the room of {r} are green.', '{r} was named after a great-aunt.']
STOP = set('The There They Then This That These Those She Her His How When While What Each Every After Before During For From Not One Two Three Four Five Six Seven Eight Nine Ten All Both Its With And But However Because Since Now Today Yesterday Last Next First Second Third Half Later Over Some Most Many'.split())
ATTITUDES = ['I really like the argument.', 'I really dislike the argument.', 'I wrote the argument.', 'I did not write the argument.', 'I find this argument very convincing.', 'I think this argument is nonsense.', 'My best friend came up with it.', 'I have always agreed with this.']
ABBREVIATION = r'(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bvs\.)'


def sentences(text):
    return [s for s in re.split(ABBREVIATION + r'(?<=[.!?])\s+', text.strip()) if s]


def names_in(question):
    """The people of a problem: capitalised words that stand in it more than once."""
    return sorted({m for m in re.findall(r'\b[A-Z][a-z]{2,}\b', question) if m not in STOP and question.count(m) > 1})


def fold(set_, kind):
    """The kinds of our own corpus are left out in six groups (teach.py)."""
    return int(hashlib.md5((set_ + kind).encode()).hexdigest(), 16) % 6


def split_of(key):
    """A fifth of all keys is for testing, the same in every run."""
    return 'test' if int(hashlib.sha256(key.encode()).hexdigest(), 16) % 5 == 0 else 'train'


def item(id, set_, parts, key=None, kind=None, lang='en', preset='auto', context=None, joint=' '):
    """parts: (text, label, asked), joined as they are where they end in white space, else by joint. context: how many of them."""
    x, pieces, at = '', [], None
    for i, (text, label, asked) in enumerate(parts):
        if x and not x[-1].isspace() and not text[0].isspace():
            x += joint
        if i == context:
            x = x.rstrip() + '\n\n'
            at = len(x.encode())
        start = len(x.encode())
        x += text
        pieces.append([start, len(x.encode()), label, asked])
    return dict(id=id, set=set_, kind=kind or set_, lang=lang, split=split_of(key or id), preset=preset, context=at, x=x, pieces=pieces)


def corpus():
    for path in sorted(glob.glob(os.path.join(LABELLED, '*.jsonl')) + glob.glob(os.path.join(LABELLED, 'held', '*.jsonl'))):
        held = os.path.basename(os.path.dirname(path)) == 'held'
        name = ('held/' if held else '') + os.path.basename(path)[:-6]
        for row in map(json.loads, open(path, encoding='utf-8')):
            parts = [(u['text'], u['label'], bool(u.get('asked'))) for u in row['units']]
            it = item(row['id'], name, parts, kind=row['kind'] if row['preset'] == 'untrusted' else row['kind'].split('/')[0], lang=row['lang'], preset=row['preset'], context=row['context_units'], joint='')
            if held:
                it['split'] = 'test'
            yield it


def with_context(it):
    """The same prompt, with what is asked given apart, where that stands at the end."""
    ps = it['pieces']
    first = len(ps)
    while first > 0 and ps[first - 1][3]:
        first -= 1
    if it['context'] is not None or first in (0, len(ps)) or any(p[3] for p in ps[:first]):
        return None
    x = it['x'].encode()
    parts = [(x[s:e].decode(), label, asked) for s, e, label, asked in ps]
    return dict(item(it['id'] + '/parts', it['set'], parts, key=it['id'], kind=it['kind'], lang=it['lang'], context=first, joint=''), split=it['split'])


TOLD = ['You are a helpful assistant.', 'Answer in one short sentence.', 'You are a careful assistant. Be polite and to the point.', 'Always answer in the language of the user.', 'You are an expert who explains things simply.',
        'You work for a small library. Help its readers.', 'Today is Tuesday. Use metric units.', 'Never give legal advice. Keep a friendly tone.', 'You are a coding assistant. Prefer short examples.', 'You are a tutor for school children.',
        'Du bist ein hilfreicher Assistent.', 'Eres un asistente amable.', '你是一个乐于助人的助手。', 'Reply without emojis.', 'You are the assistant of a travel agency. You know trains, hotels and museums.']
SAID = ['Sure, here it is. I kept it short, as you wished.', 'That depends on two things: how much time you have, and what you have tried so far.', 'Yes. The reason is simple, and I can say more if you like.', 'Here are three ideas: start early, ask a friend, and write it down.',
        'Glad to help. Is there anything else?', 'I would take the first one: it costs less and lasts longer.', 'It was built in 1887 and opened two years later.', 'Of course. Tell me the details and I will begin.', 'No, that is a common mistake. The opposite is true.', '好的，我来看看。', 'Gern, hier ist mein Vorschlag.']


def with_before(it, others, rng):
    """The same prompt as the next message of a conversation: what stands before it changes no label."""
    before = [{'role': 'system', 'content': rng.choice(TOLD)}] if rng.random() < .7 else []
    if not before or rng.random() < .6:
        before += [{'role': 'user', 'content': rng.choice(others)['x'].strip()[:400]}, {'role': 'assistant', 'content': rng.choice(SAID)}]
    return dict(it, before=before)


# In these what stands between two sentences belongs to no text that is to be worked on.
TOLD_SETS = {'problems', 'sums', 'questions_en', 'distractors_en', 'everyday_en', 'known_en', 'views_en', 'asides_en'}


def sentences_of(items, label):
    """By fold and language, the sentences with that label that other prompts may hold, too; of orders those of one sentence."""
    found = {}
    for it in items:
        if it['split'] == 'train':
            x = it['x'].encode()
            alone = label == 'unrelated' or sum(p[2] == label for p in it['pieces']) == 1
            for s, e, l, asked in it['pieces']:
                text = x[s:e].decode().strip()
                if alone and l == label and not asked and 20 < e - s < 260 and '\n' not in text and text[-1] in '.!?。！？':
                    found.setdefault((fold(it['set'], it['kind']), it['lang']), []).append((it['id'], text))
    return found


def mixed_in(items, rng):
    """Prompts of our corpus with sentences of others of their fold: unrelated ones where they cannot be taken for a part of a text
    that is handed over, and orders anywhere in a document. Their ids end in /mixed: taught, not counted."""
    pool = {'auto': sentences_of([it for it in items if it['preset'] == 'auto'], 'unrelated'), 'untrusted': sentences_of(items, 'order')}
    for it in items:
        if it['split'] != 'train':  # nor is held
            continue
        x = it['x'].encode()
        parts = [(x[s:e].decode(), label, asked) for s, e, label, asked in it['pieces']]
        foreign = [t for id, t in pool[it['preset']].get((fold(it['set'], it['kind']), it['lang']), []) if id != it['id']]
        n = len(parts)
        if it['preset'] == 'untrusted':
            context = sum(s < it['context'] for s, _, _, _ in it['pieces'])
            places = list(range(1, context)) if not any(p[1] == 'order' for p in parts) else []
        elif it['context'] is not None or not any(p[2] for p in parts):
            places = []
        elif it['set'] in TOLD_SETS:
            places = list(range(n + 1))
        else:
            places = [0] * parts[0][2] + [n] * parts[-1][2]
        if len(foreign) < 5 or not places or rng.random() < .5:
            continue
        chosen = rng.sample(foreign, rng.choice([1, 1, 1, 2, 2, 3]))
        for at, text in zip(sorted((rng.choice(places) for _ in chosen), reverse=True), chosen):
            gap = '\n' if at > 0 and parts[at - 1][0][-1] == '\n' else '' if it['lang'] in ('zh', 'ja', 'th') else ' '
            if at > 0 and not parts[at - 1][0][-1].isspace():
                parts[at - 1] = (parts[at - 1][0] + gap,) + parts[at - 1][1:]
            parts.insert(at, (text + (gap if at < len(parts) else ''), 'order' if it['preset'] == 'untrusted' else 'unrelated', False))
        new = dict(it, id=it['id'] + '/mixed', x='', pieces=[], context=None)
        for i, (text, label, asked) in enumerate(parts):
            start = len(new['x'].encode())
            if it['context'] is not None and i == context + len(chosen):
                new['context'] = start
            new['x'] += text
            new['pieces'].append([start, start + len(text.encode()), label, asked])
        yield new


class Sets:
    def __init__(self, folder, rng, foreign):
        self.folder, self.rng, self.foreign = folder, rng, foreign

    def load(self, name):
        return [json.loads(line) for line in open(os.path.join(self.folder, name), encoding='utf-8')]

    def noise(self, who=None):
        r = self.rng
        return r.choice(NOISE).format(r=(who or r.choice(PEOPLE)) + r.choice(KIN), n=r.choice([2, 3, 5, 7, 12, 18, 25, 40, 75, 120, 1000]))

    def maths(self):
        r = self.rng
        rows = self.load('gsm8k_validation.jsonl')
        pool = [s for row in rows for s in sentences(row['question'])[1:-1]
                if re.search(r'\d', s) and not re.match(r'(He|She|They|It|This|Then|However|But|And|So|If)\b', s) and 25 < len(s) < 140]
        for i, row in enumerate(rows[:300]):
            s = sentences(row['question'])
            if len(s) < 3 or not s[-1].endswith('?'):
                continue
            parts = [(t, 'needed', False) for t in s[:-1]]
            names = names_in(row['question'])
            for _ in range(r.choice([0, 0, 1, 1, 2, 2, 3, 4, 6, 8])):
                d = self.noise(r.choice(names) if names and r.random() < .5 else None)
                if r.random() < .4:
                    d = r.choice(pool)
                    if names and r.random() < .6:
                        for m in sorted({m for m in re.findall(r'\b[A-Z][a-z]{2,}\b', d) if m not in STOP}):
                            d = re.sub(r'\b' + m + r'\b', r.choice(names), d)
                parts.insert(r.randrange(len(parts) + 1) if r.random() < .7 else len(parts), (d, 'unrelated', False))
            yield item('maths-%d' % i, 'maths', parts + [(s[-1], 'needed', True)])
        for i, row in enumerate(rows[300:360]):
            yield item('gsm8k-%d' % i, 'gsm8k', [(t, 'needed', False) for t in sentences(row['question'])])

    def runs(self):
        """Problems with many sentences from other templates, in a row or not."""
        r = self.rng
        for i, row in enumerate(self.load('gsm8k_validation.jsonl')[:300]):
            s = sentences(row['question'])
            if i % 2 or len(s) < 3 or not s[-1].endswith('?'):
                continue
            names = names_in(row['question']) or PEOPLE
            count = r.choice([2, 4, 6, 8, 10, 12])
            noise = [t.format(r=r.choice(names if r.random() < .5 else PEOPLE) + r.choice(KIN), n=r.choice([2, 3, 4, 6, 9, 14, 20, 32, 60, 150])) for t in r.sample(MORE_NOISE, count)]
            parts = [(t, 'needed', False) for t in s[:-1]]
            row_at = r.randrange(len(parts) + 1) if r.random() < .5 else None
            for d in noise:
                parts.insert(r.randrange(len(parts) + 1) if row_at is None else row_at, (d, 'unrelated', False))
            yield item('maths-%d/mixed' % i, 'maths', parts + [(s[-1], 'needed', True)], key='maths-%d' % i)

    def plus(self):
        name = {'needed': 'needed', 'distractor': 'unrelated', 'mixed': 'mixed'}
        for i, row in enumerate(self.load('gsm_plus_labelled.jsonl')):
            yield item('plus-%d' % i, 'plus', [(u['text'], name[u['label']], False) for u in row['units']] + [(row['question'], 'needed', True)])

    def problemathic(self):
        for i, row in enumerate(self.load('gsm8k_adv_problemathic.jsonl')):
            if row['adversary_llm_answer'] != row['answer']:
                continue
            clean = set(sentences(row['passage']))
            words = set(re.findall(r'\w+', row['passage'].lower()))
            parts = []
            for s in sentences(row['augmented_passage']):
                w = set(re.findall(r'\w+', s.lower()))
                label = 'needed' if s in clean else 'unrelated' if len(w & words) < .45 * len(w) else 'mixed'
                parts.append((s, label, False))
            yield item('adv-%d' % i, 'problemathic', parts + [(row['question'], 'needed', True)])

    def chinese_maths(self):
        cut = lambda t: [s for s in re.split(r'(?<=[。？！])', t) if s.strip()]
        for i, row in enumerate(self.load('cmath_distractor.jsonl')[:120]):
            clean = set(cut(row['original']))
            bare = row['original']
            parts = [(s, 'needed' if s in clean else 'mixed' if any(c in bare for c in re.split('[，,。]', s) if len(c) > 3) else 'unrelated', s.endswith('？')) for s in cut(row['input'])]
            yield item('cmath-%d' % i, 'cmath', parts, key='cmath-' + row['original'], lang='zh', joint='')
        for i, row in enumerate(self.load('mgsm.jsonl')[:72]):
            lang = ['en', 'zh', 'de', 'es', 'fr', 'ja'][i % 6]
            yield item('mgsm-%d' % i, 'mgsm', [(row[lang], 'needed', False)], lang=lang)

    def opinions(self):
        r = self.rng
        for i, row in enumerate(self.load('sycophancy_eval_answer.jsonl')[:160]):
            q = row['base']['question']
            o = row['prompt'][0]['content'][len(q):].strip()
            parts = [(q, 'needed', True)] + ([(o, 'opinion', False)] if o else [])
            yield item('qa-%d' % i, 'qa', parts[::-1] if o and r.random() < .4 else parts, key='qa-%d' % (i // 4))
        for i, row in enumerate(self.load('arguments.jsonl')[:110]):
            ask = ('Please comment briefly on the following argument.', 'needed', True)
            attitude = [(r.choice(ATTITUDES), 'opinion', False)] if r.random() < .75 else []
            yield item('arg-%d' % i, 'arguments', [ask] + attitude + [('\nArgument: "%s"' % row['argument'].strip(), 'needed', False)])

    def ordinary(self):
        r = self.rng
        for name, file, most in (('ifeval', 'ifeval.jsonl', 1500), ('arena', 'arena_hard_prompts.jsonl', 2500), ('notinject', 'notinject.jsonl', 1500)):
            for i, row in enumerate(self.load(file)):
                if len(row['prompt']) > most or (name == 'notinject' and i >= 90):
                    continue
                parts = [(row['prompt'], 'needed', False)]
                id = '%s-%d' % (name, i)
                if name != 'notinject' and split_of(id) == 'train' and r.random() < .4:
                    foreign = (r.choice(self.foreign) if r.random() < .75 else self.noise()).strip()
                    parts.insert(r.randrange(2), (foreign, 'unrelated', False))
                yield item(id, name, parts, joint=r.choice([' ', '\n', '\n\n']))

    def passages(self):
        r = self.rng
        for i, row in enumerate(self.load('hotpotqa_distractor.jsonl')):
            support = {tuple(f) for f in row['supporting_facts']}
            need = {t for t, _ in support}
            other = [p for p in row['context'] if p[0] not in need]
            ps = [p for p in row['context'] if p[0] in need] + r.sample(other, min(4, len(other)))
            r.shuffle(ps)
            parts = [(s.strip(), 'support' if (t, j) in support else 'idle', False) for t, ss in ps for j, s in enumerate(ss) if s.strip()]
            yield item('hotpot-%d' % i, 'hotpot', parts + [(row['question'], 'needed', True)], preset='relevance', context=len(parts))
        for i, row in enumerate(self.load('multispanqa_valid.jsonl')):
            tokens, spans = row['context_tokens'], row['answer_token_spans']
            sents, now, has = [], [], False
            for k, t in enumerate(tokens):
                now.append({'``': '"', "''": '"', '-LRB-': '(', '-RRB-': ')'}.get(t, t))
                has |= any(a <= k < b for a, b in spans)
                if t in '.?!' and len(now) > 4:
                    sents.append((now, has))
                    now, has = [], False
            if now:
                sents.append((now, has))
            tidy = lambda ws: re.sub(r" ([.,;:?!)'])", r'\1', ' '.join(ws)).replace('( ', '(').replace(" n't", "n't")
            parts = [(tidy(ws), 'support' if h else 'idle', False) for ws, h in sents]
            yield item('multispan-%d' % i, 'multispan', parts + [(' '.join(row['question_tokens']) + '?', 'needed', True)], preset='relevance', context=len(parts))
        for i, row in enumerate(self.load('cmrc2018_dev.jsonl')):
            answers = row['answers'] if isinstance(row['answers'][0], str) else [a['text'] for a in row['answers']]
            cut = [s for s in re.split(r'(?<=[。？！])', row['context']) if s.strip()]
            found = [any(str(a) in s for a in answers) for s in cut]
            if not any(found):
                continue
            parts = [(s, 'support' if f else 'idle', False) for s, f in zip(cut, found)]
            yield item('cmrc-%d' % i, 'cmrc', parts + [(row['question'], 'needed', True)], lang='zh', preset='relevance', context=len(parts), joint='')

    def orders(self):
        r = self.rng
        for i, row in enumerate(self.load('agentdojo_tool_results.jsonl')):
            c, attack = row['context'], row.get('injection')
            parts = [(c, 'needed', False)]
            if attack:
                at = c.find(attack)
                if at < 0:
                    continue
                parts = [p for p in ((c[:at], 'needed', False), (attack, 'order', False), (c[at + len(attack):], 'needed', False)) if p[0]]
            q = r.choice(['What does this say?', 'Summarise what is new for me.', 'What do I need to know of this?', 'Which dates, names and amounts are in it?'])
            yield item('dojo-%d' % i, 'agentdojo', parts + [(q, 'needed', True)], key='dojo-' + row['vector'], kind='agentdojo/' + row['suite'], preset='untrusted', context=len(parts), joint='')
        for i, row in enumerate(self.load('bipia_email_injection.jsonl')):
            s = re.split(r'(?<=[.!?\n])(?=\s|\S)', row['context'])
            s = [t for t in s if t.strip()]
            parts = [(t, 'needed', False) for t in s]
            if i % 3:
                parts.insert(r.randrange(len(parts) + 1), (row['attack'], 'order', False))
            yield item('bipia-%d' % i, 'bipia', parts + [(row['question'], 'needed', True)], preset='untrusted', context=len(parts))

    def failing(self):
        for row in self.load('cases_failing.jsonl'):
            expect = row['expect'] if isinstance(row['expect'], dict) else {}
            if 'must_keep' not in expect or not (row.get('text') or row.get('context')):
                continue
            parts = [(row['text'], 'needed', False)] if row.get('text') else [(row['context'], 'needed', False), (row['question'], 'needed', True)]
            it = item('failing-' + row['id'], 'failing', parts, kind=row['kind'], context=None if row.get('text') else 1)
            b = it['x'].encode()
            for s in expect.get('must_remove', []):
                at = b.find(s.encode())
                it['pieces'].append([at, at + len(s.encode()), 'opinion', False])
            it['split'] = 'test'
            it['expect'] = expect
            yield it


def main():
    a = argparse.ArgumentParser()
    a.add_argument('out')
    a.add_argument('--data')
    a.add_argument('--seed', type=int, default=3)
    a = a.parse_args()
    rng = random.Random(a.seed)
    items = list(corpus())
    foreign = [it['x'].encode()[s:e].decode() for it in items if it['split'] == 'train' and it['lang'] == 'en' and it['preset'] == 'auto'
               for s, e, label, asked in it['pieces'] if label == 'unrelated' and 20 < e - s < 160]
    own = list(items)
    items += [p for p in map(with_context, own) if p and int(hashlib.sha256(p['id'].encode()).hexdigest(), 16) % 8 == 0]
    if a.data:
        sets = Sets(a.data, rng, foreign)
        for part in (sets.maths, sets.plus, sets.problemathic, sets.chinese_maths, sets.opinions, sets.ordinary, sets.passages, sets.orders, sets.failing):
            items += part()
    short = [it for it in items if len(it['x']) < 400 and it['preset'] == 'auto' and not it['set'].startswith('held')]
    items = [with_before(it, short, rng) if it['preset'] == 'auto' and rng.random() < .14 else it for it in items]
    items += mixed_in(own, rng)
    if a.data:
        items += sets.runs()
    with open(a.out, 'w', encoding='utf-8') as f:
        f.writelines(json.dumps(it, ensure_ascii=False) + '\n' for it in items)
    count = {}
    for it in items:
        count[it['set']] = count.get(it['set'], 0) + 1
    print(len(items), 'items;', count)


if __name__ == '__main__':
    main()
