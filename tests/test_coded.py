"The coded channel: what was sent comes back bit for bit, or not at all; pictures keep what was promised."
import hashlib
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from false_alarms import made
from PIL import Image

from hi3_nb.code import Code
from hi3_nb.coded import PROMISES, Sender, hide
from hi3_nb.coded_file import hide_file
from hi3_nb.distortions import real_attack
from hi3_nb.images import EXAMPLES, package_file, read_image
from hi3_nb.locks import TIERS, Lock
from hi3_nb.masking import choose_levels, fit_levels
from hi3_nb.payload import File, avif, from_bytes
from hi3_nb.qim import Frame, planes, read, write
from hi3_nb.receiver import candidates, inner_size
from hi3_nb.revealing import Received, reveal
from hi3_nb.tiers import BASES, FILE, LOCKED, Header, Layout, decode, opened, sealed

MUTATIONS = 5000
GOLDEN = Path(__file__).parent/'golden'/'coded-v1.png' # `cat` hidden in `china`


@cache
def photo(name, size): return read_image(package_file(EXAMPLES[name])).resize(size, Image.Resampling.LANCZOS)


@cache
def sent(name='china', size=(256, 256)):
    return hide(photo(name, size), [photo('cat', (160, 120))])[0]


@pytest.mark.parametrize('seed', range(24))
def test_any_message_of_any_length_comes_back_from_the_file(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(16*n) for n in rng.integers(8, 24, 2))
    picture = np.asarray(photo(rng.choice(list(EXAMPLES)), size))
    frame, c = Frame(size[::-1]), read(planes(picture))
    levels, _ = fit_levels(choose_levels(planes(picture)[0]))
    layout = Layout(frame, BASES[int(rng.integers(10, 20))], levels, rng.integers(1, 3, 23))
    k = 8 * int(rng.integers(6, layout.picture.n // 20))
    message, carriers = rng.bytes(k//8 - 4), np.zeros((frame.n, 2), np.uint8)
    layout.picture.lay(Code(k, layout.picture.n).encode(sealed(message, k)), carriers)
    marked = np.clip(np.round(picture + write(layout.change(c, carriers), frame.shape)), 0, 255)
    phase, _ = layout.phases(read(planes(marked)))
    assert opened(decode(layout.picture, k, phase, layout.pilots, frame, layout.cls)) == message


def test_no_damaged_message_is_handed_on():
    rng = np.random.default_rng(0)
    for _ in range(MUTATIONS // 2):
        k = 8 * int(rng.integers(5, 300))
        bits = sealed(rng.bytes(k//8 - 4), k)
        kind = rng.integers(3)
        if kind == 0: bits[rng.integers(0, k, rng.integers(1, 9))] ^= 1
        elif kind == 1: bits[rng.integers(k):] = rng.integers(2)
        else: bits = bits[:8 * int(rng.integers(5, k//8 + 1))]
        got = opened(bits)
        assert got is None or len(bits) == k and (bits == sealed(got, k)).all()


def test_no_damaged_header_is_believed():
    rng, frame = np.random.default_rng(0), Frame((256, 256))
    _, levels = fit_levels(rng.integers(-3, 3, (8, 8)))
    header = Header(BASES[9], 1, 400, 9000, 0, rng.integers(0, 3, 23), levels)
    good, believed = header.to_bits(), 0
    assert len(good) == Header.code(frame).k
    for _ in range(MUTATIONS // 2):
        bits = good.copy()
        bits[rng.integers(0, len(bits), rng.integers(1, 40))] ^= 1
        if (bits != good).any(): believed += Header.from_bits(bits) is not None
    assert believed <= 2 # one in 65,536 passes its check


def mutated(picture, rng):
    a = np.array(picture)
    H, W, _ = a.shape
    kind = rng.integers(7)
    if kind == 0: a[:int(rng.integers(H))] = rng.integers(256)
    elif kind == 1: a = a[int(rng.integers(1, 60)):, int(rng.integers(1, 60)):]
    elif kind == 2: a = rng.integers(0, 256, a.shape)
    elif kind == 3: a[...] = rng.integers(0, 256, 3)
    elif kind == 4: a = a + rng.normal(0, rng.uniform(5, 60), a.shape)
    elif kind == 5: a = np.rot90(a, int(rng.integers(1, 4)))
    else: return real_attack(picture, f'jpeg{rng.integers(1, 40)}')[0]
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


@pytest.mark.slow
def test_damaged_pictures_give_what_was_hidden_or_nothing():
    rng, good = np.random.default_rng(0), reveal(sent()).pictures[0].tobytes()
    for _ in range(8):
        found = reveal(mutated(sent(), rng))
        assert found.what in ('picture', 'thumbnail', 'damaged', 'nothing')
        if found.what == 'picture': assert found.pictures[0].tobytes() == good
        if found.what in ('damaged', 'nothing'): assert not found.pictures


@pytest.mark.parametrize('name', EXAMPLES)
def test_a_photograph_that_is_not_marked_hides_nothing(name):
    for attack in 'none', 'jpeg50', 'noise10':
        assert reveal(real_attack(photo(name, (320, 240)), attack)[0]).what == 'nothing'


@pytest.mark.slow
@pytest.mark.parametrize('size', [(256, 256), (250, 187), (160, 400), (639, 352)])
def test_a_small_cover_keeps_its_promise(size):
    marked, again = sent('china', size), reveal(sent('china', size)).pictures[0]
    assert marked.size == size and again.size == (160, 120)
    for attack in PROMISES['standard'].small:
        found = reveal(real_attack(marked, attack, 9)[0])
        assert found.what == 'picture' and found.pictures[0].tobytes() == again.tobytes(), attack


@pytest.mark.slow
def test_a_large_cover_keeps_its_promise_at_whatever_size_it_arrives():
    marked, promise = sent('coffee', (1200, 800)), PROMISES['standard']
    again = reveal(marked).pictures[0]
    for attack in promise.large:
        received = real_attack(marked, attack, 9, back=False)[0]
        found = reveal(received)
        assert inner_size(marked.size) in set(candidates(received.size))
        assert found.what == 'picture' and found.pictures[0].tobytes() == again.tobytes(), attack


@pytest.mark.slow
def test_a_side_that_resizing_rounds_the_other_way():
    marked = sent('china', (1600, 1066))
    received = real_attack(marked, 'fit1080+jpeg75', 9, back=False)[0]
    assert inner_size(received.size)[0] / received.width != inner_size(marked.size)[0] / marked.width
    assert reveal(received).pictures[0].tobytes() == reveal(marked).pictures[0].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize('box, attack', [((40, 30, 1160, 780), 'jpeg85'), ((0, 100, 1100, 800), 'none'),
                                         ((3, 2, 1200, 799), 'jpeg85')])
def test_a_part_of_a_large_cover_is_enough(box, attack):
    marked = sent('coffee', (1200, 800))
    found = reveal(real_attack(marked.crop(box), attack, 9, back=False)[0], search=lambda: None)
    assert found.what == 'picture' and found.pictures[0].tobytes() == reveal(marked).pictures[0].tobytes()
    assert .7 < found.seen < 1 and found.size == Sender(marked, [marked], PROMISES['standard']).frame.shape[::-1]


@pytest.mark.slow
@pytest.mark.parametrize('scale, attack, colour', [(.8, 'none', 'white'), (1., 'jpeg90', '#202020'),
                                                   (1.7, 'jpeg90', 'white')])
def test_a_small_cover_is_found_on_a_page(scale, attack, colour):
    marked = sent('china', (320, 240))
    size, page = tuple(round(s*scale) for s in marked.size), Image.new('RGB', (900, 700), colour)
    page.paste(marked.resize(size, Image.Resampling.BICUBIC), (203, 97))
    asked = []
    found = reveal(real_attack(page, attack, 9)[0], search=lambda: asked.append(1))
    assert asked and found.what == 'picture' and found.pictures[0].tobytes() == reveal(marked).pictures[0].tobytes()
    assert found.seen == 1 # to its last row


@pytest.mark.slow
def test_what_repeats_itself_is_no_mark():
    assert reveal(dict(made())['stripes 40'], search=lambda: None).what == 'nothing'


@pytest.mark.parametrize('size', [(97, 97), (40, 900), (300, 200)])
def test_a_search_that_finds_nothing_says_so(size):
    assert reveal(photo('coffee', size), search=lambda: None).what == 'nothing'


def test_several_secrets_keep_their_proportions():
    sizes = [(120, 80), (64, 96)]
    marked, report = hide(photo('china', (400, 304)), [photo('cat', s) for s in sizes],
                          replace(PROMISES['light'], small=('jpeg85',)))
    assert [p.size for p in reveal(marked).pictures] == sizes and report['bits']['fine'] > 0
    assert reveal(marked).what == 'fine' and reveal(real_attack(marked, 'jpeg85')[0]).what == 'picture'


@pytest.mark.parametrize('size', [(320, 240), (800, 640)])
def test_a_page_is_marked_where_it_can_change(size):
    "What was meant for each carrier stands in the marked picture, though much of the page is white."
    page = photo('china', size).convert('L').point(lambda v: 255 if v > 110 else v).convert('RGB')
    sender = Sender(page, [photo('cat', (64, 48))], PROMISES['standard'])
    assert sender.cover.getextrema()[0][1] < 255 # it has headroom
    sender.lay_out(32., np.full(23, 2))
    change = sender.layout.change(sender.c, sender.carriers)
    got = sender.received(sender.marked(), 'none', 0).c
    means = sender.frame.kind == 0
    assert np.median(abs(got - sender.c - change)[means]) < 2


@pytest.mark.parametrize('size', [(16, 16), (96, 64)])
def test_a_cover_that_is_too_small_is_refused(size):
    with pytest.raises(ValueError): hide(photo('china', size), [photo('cat', (64, 48))])


LIES = dict(nothing=b'', zeros=bytes(60), ones=b'\xff'*60, picture=b'\0\x08\0\x08\x1f' + b'no frame'*9,
            bomb=struct.pack('>HHB', 65535, 65535, 0) + avif(Image.new('RGB', (2048, 2048)), 1, 10),
            deflated=b'\1\1\0\0\x50a' + b'not deflated', xz=b'\2\1\xff\xff\xffa' + bytes(60))


@pytest.mark.slow
@pytest.mark.parametrize('lie', LIES)
def test_a_message_that_lies_is_damaged(lie, monkeypatch):
    "Whole, and made by somebody who means ill: neither an exception, nor memory, nor a picture."
    honest = Received.header
    for said in (0, 1, 63, 1 | LOCKED, 63 | LOCKED, 1 | FILE, 1 | FILE | LOCKED):
        with monkeypatch.context() as m:
            m.setattr(Received, 'header', lambda self, said=said: replace(honest(self), secrets=said))
            m.setattr(Received, 'message', lambda *_: LIES[lie])
            found = reveal(sent(), None, ['a password'])
            assert found.what in ('damaged', 'locked', 'file') and not found.pictures
            if found.file: assert len(found.file.data) <= len(LIES[lie])


def messages(marked): # of the tiers, and the header
    got = Received(marked, inner_size(marked.size))
    header = got.header()
    return {n: m for n in TIERS if (m := got.message(got.layout(header), n, getattr(header, n)))}, header


@pytest.mark.slow
def test_a_closed_secret_never_stands_in_the_clear():
    "Nor do two pictures with the same secret and the same password have anything in common."
    cover, secret = photo('china', (320, 240)), photo('cat', (96, 64))
    marked = [hide(cover, [secret], PROMISES['light'], passwords=['a password'])[0] for _ in range(2)]
    (one, header), (two, _) = map(messages, marked)
    assert header.locked and header.count == 1 and {'picture', 'fine'} <= set(one)
    for tier, message in one.items():
        plain, = Lock(['a password']).open(message, 1, tier)
        assert from_bytes(plain, 1)[0].image()
        assert not any(plain[i:i + 6] in message for i in range(len(plain) - 5) if any(plain[i:i + 6]))
        assert np.mean([a == b for a, b in zip(message, two[tier])]) < .05 # one byte in 256 is equal by chance
        assert all(Lock([w]).open(message, 1, tier) == [None] for w in ('a passworD', 'a password ', 'x'))
    assert reveal(marked[0]).what == reveal(marked[0], None, ['another']).what == 'locked'
    assert not reveal(marked[0], None, ['another']).pictures
    assert reveal(marked[0], None, ['another', 'a password']).what == 'fine'


@pytest.mark.slow
def test_damage_and_a_wrong_password_are_told_apart():
    marked = hide(photo('china', (256, 256)), [photo('cat', (96, 64))], passwords=['a password'])[0]
    said = {a: [reveal(real_attack(marked, a)[0], None, words).what for words in ((), ['wrong'], ['a password'])]
            for a in ('jpeg70', 'jpeg10', 'jpeg1')}
    assert said['jpeg70'] == ['locked', 'locked', 'picture']
    assert set(said['jpeg10'] + said['jpeg1']) <= {'damaged', 'nothing', 'thumbnail'}


@pytest.mark.slow
@pytest.mark.parametrize('size', [(256, 192), (1200, 800)])
@pytest.mark.parametrize('data', [b'', b'x', b'a line\n'*99])
def test_a_tiny_file_comes_back(data, size):
    marked = hide_file(photo('china', size), File('a.txt', data), PROMISES['light'])[0]
    for attack in 'none', PROMISES['light'].attacks(size)[0]:
        assert reveal(real_attack(marked, attack, back=False)[0]).file == File('a.txt', data)


def test_a_file_of_this_version_is_read_as_ever():
    got = Received(read_image(GOLDEN), (256, 192))
    header = got.header()
    messages = [got.message(got.layout(header), n, getattr(header, n)) for n in ('thumbnail', 'picture', 'fine')]
    found = [hashlib.sha256(m).hexdigest()[:16] if m else 'none' for m in messages]
    assert found == GOLDEN.with_suffix('.txt').read_text().split()
