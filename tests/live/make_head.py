#!/usr/bin/env python3
"""A head for the test model, of numbers that mean nothing: live tests ask whether they are read and added up rightly.
make_head.py WEIGHTS_ID OUT; the id is what `s2a probe --model 135m` says."""
import random
import struct
import sys

WIDTH, LAYERS, ROWS = 576, [9, 14], ['again-unrelated', 'again-opinion', 'again-asked', 'apart-support', 'apart-order']
r = random.Random(1)
head = ['s2a-head 1', 'model smollm2-135m-instruct, for tests', 'weights ' + sys.argv[1], 'width %d' % WIDTH, 'layers ' + ' '.join(map(str, LAYERS)),
        'border auto -2 opinion -2 relevance -2 untrusted -2'] + ['row %s offset 0 scale 2e-06' % row for row in ROWS]
numbers = [r.randint(-32767, 32767) for _ in range(len(ROWS) * len(LAYERS) * 2 * WIDTH)]
open(sys.argv[2], 'wb').write(('\n'.join(head) + '\n\n').encode() + struct.pack('<%dh' % len(numbers), *numbers))
