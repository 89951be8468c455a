"""What `reveal` finds in marked photographs that were resized, turned, cut or put on a page: each of twelve covers.

    python scripts/misses.py paper/results/coded/misses.json"""
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from hi3_nb.coded import hide
from hi3_nb.distortions import real_attack
from hi3_nb.photographs import COVERS, load_pair
from hi3_nb.records import provenance, write_json
from hi3_nb.revealing import reveal

FILTERS = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR


def resized(im, r, low, high):
    factor = r.uniform(low, high)
    return im.resize([round(s * factor) for s in im.size], FILTERS[r.integers(3)])


def turned(im, r): return im.transpose([*Image.Transpose][r.integers(7)])


def on_page(im, r, low, high):
    "The picture at some scale and some place on a page of one colour, up to a third larger."
    im = resized(im, r, low, high)
    size = [int(s * r.uniform(1.02, 1.35)) for s in im.size]
    page = Image.new('RGB', size, tuple(r.integers(0, 256, 3).tolist()))
    page.paste(im, [int(r.integers(0, b - a + 1)) for a, b in zip(im.size, size)])
    return page


def cut(im, r, low, high):
    "A part with this share of the area, of any proportions near the picture's, from any corner."
    sides = r.uniform(low, high)**(.5 + r.uniform(-.2, .2) * np.array([1, -1]))
    size = [int(s * side) for s, side in zip(im.size, sides)]
    x, y = (int(r.integers(0, a - b + 1)) for a, b in zip(im.size, size))
    return im.crop((x, y, x + size[0], y + size[1]))


def jpeg(im, quality): return real_attack(im, f'jpeg{quality}')[0]


KINDS = {
    'resized to 0.5 to 1.5': lambda im, r: resized(im, r, .5, 1.5),
    'turned or mirrored, JPEG 80': lambda im, r: jpeg(turned(im, r), 80),
    'on a page, at 0.6 to 1': lambda im, r: on_page(im, r, .6, 1.),
    'on a page, at 1 to 1.5, JPEG 85': lambda im, r: jpeg(on_page(im, r, 1., 1.5), 85),
    'on a page, turned or mirrored': lambda im, r: turned(on_page(im, r, .6, 1.), r),
    '85 to 95 % of it': lambda im, r: cut(im, r, .85, .95),
    '85 to 95 % of it, JPEG 85': lambda im, r: jpeg(cut(im, r, .85, .95), 85),
    '85 to 95 % of it, turned or mirrored': lambda im, r: turned(cut(im, r, .85, .95), r),
    '70 to 85 % of it': lambda im, r: cut(im, r, .7, .85)}


def main(record:Path):
    said, missed = {}, []
    for i, cover in enumerate(COVERS):
        picture, secret = load_pair(cover)
        marked = hide(picture, [secret])[0]
        for j, (kind, change) in enumerate(KINDS.items()):
            found = reveal(change(marked, np.random.default_rng((i, j))), lambda: None)
            said.setdefault(kind, Counter())[found.what] += 1
            if found.what != 'picture': missed.append(dict(cover=cover, kind=kind, what=found.what))
        print(cover, sum(said.values(), Counter()), flush=True)
    write_json(record, dict(said={k: dict(v) for k, v in said.items()}, missed=missed, **provenance()))
    print(json.dumps(missed))


if __name__ == '__main__': main(Path(sys.argv[1]))
