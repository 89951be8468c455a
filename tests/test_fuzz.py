"""Damaged files through the whole command line: whatever their bytes say, `reveal` and `hide` work or fail in one line.

`pytest` tries 300 files. All of them: HI3_FUZZ=3000 pytest -s tests/test_fuzz.py
"""
import contextlib
import faulthandler
import io
import os
import random
import resource
import struct
import time
import zlib
from collections import Counter

import numpy as np
import profiles
import pytest
from PIL import Image

from hi3_nb import coded, commands, revealing, tool_files
from hi3_nb.images import EXAMPLES, ImageError, package_file, read_image

FILES = int(os.environ.get('HI3_FUZZ', 300))
SECONDS, MEGABYTES = 30, 1500 # for one file; growth over all of them


def originals():
    "Small valid files of every kind that the four formats have."
    im = read_image(package_file(EXAMPLES['cat'])).resize((32, 32))
    exif = Image.Exif()
    exif[0x0112], exif[0x010e] = 6, 'a cat'
    grey, holes = im.convert('L'), im.convert('RGBA')
    holes.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    animation = dict(save_all=True, append_images=[im.rotate(90), im.rotate(180)])
    kinds = [
        *(('png', i, {}) for i in (im, holes, grey, deep, im.quantize(16), im.convert('1'))),
        ('png', im.quantize(16), dict(transparency=3)), ('png', im, animation),
        ('png', im, dict(exif=exif, dpi=(72, 72), icc_profile=b'\0'*200)),
        *(('png', i, dict(icc_profile=p)) for i, p in ((im, profiles.rgb('Display P3')), (grey, profiles.grey(1.8)))),
        *(('jpg', i, dict(icc_profile=p)) for i, p in ((im, profiles.rgb('ProPhoto')),
                                                       (im.convert('CMYK'), profiles.press()))),
        *(('jpg', i, {}) for i in (im, grey, im.convert('CMYK'))), ('jpg', im, dict(progressive=True)),
        ('jpg', im, dict(exif=exif, comment=b'a cat')), ('jpg', im, dict(subsampling=0, restart_marker_blocks=1)),
        ('webp', im, {}), ('webp', im, dict(lossless=True)), ('webp', holes, {}), ('webp', im, animation),
        ('webp', im, dict(exif=exif, icc_profile=b'\0'*200)),
        ('avif', im, {}), ('avif', holes, dict(quality=100)), ('avif', im, dict(exif=exif, subsampling='4:4:4')),
        ('avif', im, animation)]
    def encoded(kind, i, options):
        f = io.BytesIO()
        i.save(f, dict(jpg='JPEG').get(kind, kind.upper()), **options)
        return kind, f.getvalue()
    return [encoded(*k) for k in kinds]


def flip(r, data, _):
    "Some bits, anywhere."
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 8, 64))): data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    return bytes(data)


def truncate(r, data, _): return data[:r.randrange(len(data))]
def splice(r, data, other):
    "The head of one file and the tail of another."
    return data[:r.randrange(len(data))] + other[r.randrange(len(other)):]
def repeat(r, data, _):
    "A stretch, once more or left out."
    a, b = sorted(r.randrange(len(data)) for _ in range(2))
    return data[:b] + data[a:] if r.random() < .5 else data[:a] + data[b:]


def pieces(data):
    "Chunks of PNG and WebP, boxes of AVIF, segments of JPEG."
    if data[:4] == b'\x89PNG':
        out, at = [data[:8]], 8
        while at + 8 <= len(data):
            end = at + 12 + struct.unpack_from('>I', data, at)[0]
            out, at = [*out, data[at:end]], end
        return out
    if data[:4] == b'RIFF':
        out, at = [data[:12]], 12
        while at + 8 <= len(data):
            size = struct.unpack_from('<I', data, at + 4)[0]
            out, at = [*out, data[at:at + 8 + size + size % 2]], at + 8 + size + size % 2
        return out
    if data[4:8] == b'ftyp': # and what lies in the box 'meta'
        out, at = [], 0
        while at + 8 <= len(data):
            size, kind = struct.unpack_from('>I4s', data, at)
            size = max(8, size)
            out, at = [*out, data[at:at + (12 if kind == b'meta' else size)]], at + (12 if kind == b'meta' else size)
        return out
    out, at = [data[:2]], 2
    while data[at + 1] != 0xda: # start of scan: from here it is one piece
        end = at + 2 + struct.unpack_from('>H', data, at + 2)[0]
        out, at = [*out, data[at:end]], end
    return [*out, data[at:]]


def seal(piece): # a PNG chunk whose checksum is right, so that what it says is believed
    return struct.pack('>I', len(piece) - 12) + piece[4:-4] + struct.pack('>I', zlib.crc32(piece[4:-4]))


def swap(r, data, other):
    "Chunks in another order, doubled, missing, or from another file."
    p, q = pieces(data), pieces(other)
    i, j = (r.randrange(1, len(p)) for _ in range(2))
    how = r.randrange(4)
    if how == 0: p[i], p[j] = p[j], p[i]
    elif how == 1: p.insert(i, p[j])
    elif how == 2: del p[i]
    else: p.insert(i, r.choice(q))
    return b''.join(p)


def lie(r, data, _):
    "A header, or the head of any other chunk, that says something else: extreme numbers where numbers are."
    p = pieces(data)
    i = 1 if r.random() < .5 else r.randrange(1, len(p))
    piece = bytearray(p[i])
    if data[:4] == b'\x89PNG' and len(piece) > 12:
        at = 8 + r.randrange(min(len(piece) - 12, 16))
        piece[at:at + 1] = bytes([r.choice((0, 1, 2, 3, 4, 8, 16, 127, 128, 255))])
        p[i] = seal(bytes(piece))
    else:
        at = r.randrange(min(len(piece), 30))
        lied = r.choice((b'\0', b'\xff', b'\x01', b'\0\0', b'\xff\xff', b'\x7f\xff', b'\x20\0', b'\xff\xff\xff\xff'))
        piece[at:at + len(lied)] = lied
        p[i] = bytes(piece)
    return b''.join(p)


def inside(r, data, other):
    "Damage to what a PNG compresses, packed again with right checksums; bits elsewhere."
    if data[:4] != b'\x89PNG': return flip(r, data, other)
    p = pieces(data)
    i = next(i for i, c in enumerate(p) if c[4:8] == b'IDAT')
    raw = r.choice((flip, truncate, repeat, splice))(r, zlib.decompress(p[i][8:-4]), other)
    p[i] = seal(b'0000IDAT' + zlib.compress(raw) + b'0000')
    return b''.join(p)


DAMAGE = (flip, flip, truncate, splice, repeat, swap, lie, lie, inside)


class Small:
    "Counts what reaches the channel, and cuts it: a header that lies may make a picture of a hundred megapixels."
    def __init__(self):
        self.ran = Counter()
        self.hide_whole, self.reveal_whole = coded.hide, revealing.reveal
    def hide(self, cover, secrets, *a, **kw):
        self.ran['hide'] += 1
        marked = cover.copy()
        if self.ran['hide'] % 50: return marked, dict(bits=dict(picture=0)) # hiding takes a second
        small, done = self.hide_whole(PLAIN, [cut(s) for s in secrets], coded.PROMISES['light'])
        marked.paste(small)
        return marked, done
    def reveal(self, marked, *a):
        self.ran['reveal'] += 1
        return self.reveal_whole(cut(marked), *a)


PLAIN = Image.effect_noise((160, 128), 40).convert('RGB')
def quick(n): return ['--no-search'] if n % 50 else [] # a search may take seconds
def cut(im): return im.crop((0, 0, min(im.width, 64), min(im.height, 64)))


def run(words, folder, expected):
    "One command: its exit code. It fails in one line and leaves nothing, or leaves what it was to write."
    before, err = set(os.listdir(folder)), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = commands.main(list(map(str, words)))
    new, told = set(os.listdir(folder)) - before, err.getvalue()
    if code == 0:
        assert new == {expected.name}, new
    elif code == 4: # nothing is hidden there: notes at most
        assert not new and all(line.startswith('note: ') for line in told.splitlines()), (new, told)
    else:
        assert code == 2 and not new and told.startswith('hi3: ') and told.count('\n') == 1, (code, new, told)
    for p in [*expected.glob('*'), expected]:
        if p.is_dir():
            p.rmdir()
        elif p.exists():
            p.unlink()
    return code


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore') # Pillow's, of `readable_or_refused`
def test_damaged_files(tmp_path, monkeypatch):
    small, good = Small(), originals()
    monkeypatch.setattr(coded, 'hide', small.hide)
    monkeypatch.setattr(revealing, 'reveal', small.reveal)
    monkeypatch.setattr(revealing, 'is_marked', lambda picture: False)
    monkeypatch.setattr(tool_files, 'comes_back', lambda *a: dict(secrets=[], used=0.)) # `small` hides nothing
    Image.open(io.BytesIO(good[0][1])).save(tmp_path/'whole.png')
    whole, marked, found = (tmp_path/'whole.png').read_bytes(), tmp_path/'marked.png', tmp_path/'found'
    counts, slowest, faults, begin, memory = Counter(), 0, [], time.time(), None
    for n in range(FILES):
        r = random.Random(n)
        (kind, data), (_, other) = good[n % len(good)], r.choice(good)
        for _ in range(r.choice((1, 1, 1, 2))):
            # too broken already to be damaged in this way
            with contextlib.suppress(struct.error, IndexError, StopIteration, ValueError, zlib.error):
                data = r.choice(DAMAGE)(r, data, other) or data
        path = tmp_path/f'damaged.{kind}'
        path.write_bytes(data)
        faulthandler.dump_traceback_later(2*SECONDS, exit=True) # a hang in a codec cannot be interrupted
        start = time.time()
        try:
            codes = (run(['reveal', path, '-o', found, *quick(n)], tmp_path, found),
                     run(['hide', path, tmp_path/'whole.png', '-o', marked], tmp_path, marked),
                     run(['hide', tmp_path/'whole.png', path, '-o', marked], tmp_path, marked))
            readable = readable_or_refused(path)
            assert readable == (codes[2] == 0), (readable, codes)
            counts['read' if readable else 'refused'] += 1
        except Exception as e:
            faults.append(f'file {n} ({kind}, {len(data)} bytes): {type(e).__name__}: {e}')
        faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, time.time() - start)
        unchanged = path.read_bytes() == data and (tmp_path/'whole.png').read_bytes() == whole
        assert unchanged, f'file {n}: an input was changed'
        path.unlink()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 # kilobytes on Linux
        if n == 20: memory = peak # the libraries have what they need
    grown = peak - (memory or peak)
    print(f'\n{FILES} files in {time.time() - begin:.0f} s: {dict(counts)}, the channel ran {dict(small.ran)}, '
          f'slowest {slowest:.2f} s, memory grew by {grown:.0f} MB')
    assert not faults, '\n'.join([f'{len(faults)} faults', *faults[:20]])
    assert slowest < SECONDS and grown < MEGABYTES
    assert counts['read'] > FILES / 20 and counts['refused'] > FILES / 20, 'the damage is too heavy, or too light'


def readable_or_refused(path):
    "Whether `read_image` reads the file; anything else than an `ImageError` goes through."
    try: read_image(path, [])
    except ImageError: return False
    return True
