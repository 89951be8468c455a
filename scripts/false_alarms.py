"""What `reveal` says of pictures in which nothing is hidden: photographs of a prepared set, drawings, pages, skies.

    python scripts/false_alarms.py paper/data/prepared/val2014.npy paper/results/coded/false_alarms.json 40

The last number says how many of the photographs are searched for parts too; the others always are."""
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hi3_nb.distortions import real_attack
from hi3_nb.records import provenance, write_json
from hi3_nb.revealing import reveal

ATTACKS = 'none', 'jpeg50', 'noise10'


def made():
    "Pictures that are no photographs, by name."
    for grey in 0, 128, 255: yield f'blank {grey}', Image.new('RGB', (512, 384), (grey,)*3)
    sky = np.linspace(90, 220, 384)[:, None, None] + np.array([-40, 0, 30])
    yield 'sky', Image.fromarray(np.clip(np.broadcast_to(sky, (384, 512, 3)), 0, 255).astype(np.uint8))
    yield 'grain', Image.fromarray(np.random.default_rng(0).integers(110, 140, (384, 512, 3), dtype=np.uint8))
    for step in 8, 16, 24, 40:
        board = np.indices((384, 512)).sum(0) // step % 2 * 255
        yield f'stripes {step}', Image.fromarray(board.astype(np.uint8)).convert('RGB')
    for size in (720, 1280), (1280, 720):
        page = Image.new('RGB', size, 'white')
        for y in range(8, size[1], 19): ImageDraw.Draw(page).text((12, y), 'Lines of text on a page. ' * 9, 'black')
        yield f'page {size[0]}', page.copy()
        for i in range(0, 480, 40): ImageDraw.Draw(page).rectangle((i, i, i + 160, i + 90), (i // 2, 90, 200), 'black')
        yield f'drawing {size[0]}', page
    yield 'fractal', Image.effect_mandelbrot((512, 384), (-2, -1, 1, 1), 60).convert('RGB')


def main(prepared:Path, record:Path, searched:int):
    pictures, said, shown = np.load(prepared, mmap_mode='r'), {}, []
    jobs = [(f'photograph {i}', Image.fromarray(p), 'photographs', i < searched) for i, p in enumerate(pictures)]
    jobs += [(name, im, 'drawings, pages, skies', True) for name, im in made()]
    for i, (name, picture, group, search) in enumerate(jobs):
        attack = ATTACKS[i % len(ATTACKS)]
        found = reveal(real_attack(picture, attack, i, back=False)[0], (lambda: None) if search else None)
        key = f'{group}, {attack}' + ', searched' * search
        said.setdefault(key, Counter())[found.what] += 1
        if found.what != 'nothing': shown.append(dict(picture=name, attack=attack, what=found.what))
        if i % 100 == 99: print(i + 1, sum(said.values(), Counter()), flush=True)
    out = dict(said={k: dict(v) for k, v in said.items()}, alarms=shown, pictures=len(jobs), **provenance())
    write_json(record, out)
    print(json.dumps(out))


if __name__ == '__main__': main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
