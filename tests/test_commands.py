"The command line: what it does with good files, and that bad ones cost one line, exit code 2 and nothing else."
import contextlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import profiles
import pytest
import yaml
from PIL import Image

import hi3_nb
from hi3_nb.commands import main
from hi3_nb.measures import psnr_of
from hi3_nb.images import EXAMPLES, package_file, read_image
from hi3_nb.pictures import srgb_profile
from hi3_nb.records import file_hash
from hi3_nb.weights import about_weights


@pytest.fixture(scope='module')
def photographs(): return {n: read_image(package_file(EXAMPLES[n])) for n in ('china', 'cat')}


@pytest.fixture
def folder(tmp_path, monkeypatch, photographs):
    "A folder to stand in, with a cover and a secret."
    monkeypatch.chdir(tmp_path)
    photographs['china'].resize((200, 150)).save('cover.png')
    photographs['cat'].resize((120, 80)).save('secret.png')
    return tmp_path


def files(folder): return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in folder.rglob('*')}


@pytest.fixture
def hi3(capfd):
    def run(*words):
        code = main([str(w) for w in words])
        return code, *capfd.readouterr()
    return run


@pytest.fixture
def works(hi3, folder):
    "Run what works: its result and its notes."
    def run(*words):
        code, out, err = hi3(*words, '--json')
        assert code == 0 and all(line.startswith('note: ') for line in err.splitlines()), err
        return json.loads(out)
    return run


@pytest.fixture
def fails(hi3, folder):
    "Run what fails: it says so in one line with these words, and leaves everything as it was."
    def run(*words, says=''):
        before = files(folder)
        code, out, err = hi3(*words)
        assert_one_line(code, out, err, says)
        assert files(folder) == before
    return run


def assert_one_line(code, out, err, says):
    assert code == 2 and out == '' and err.startswith('hi3: ') and err.count('\n') == 1 and err.endswith('\n'), err
    assert 'Traceback' not in err and says in err, err


def png(width, height): # the header of one, and no pixels
    chunk = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'')), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def half(im, name):
    im.save(name)
    data = Path(name).read_bytes()
    Path(name).unlink()
    return data[:len(data) // 2]


def damaged_tiff(im):
    im.save('a.tif', compression='tiff_lzw')
    data = Path('a.tif').read_bytes()
    Path('a.tif').unlink()
    return data[:1000] + b'\xff'*2000 + data[3000:]


BAD = {
    'not an image': ('bad.png', lambda im: b'no picture, just words', 'not an image'),
    'empty': ('bad.png', lambda im: b'', 'not an image'),
    'truncated PNG': ('bad.png', lambda im: half(im, 'a.png'), 'truncated'),
    'truncated JPEG': ('bad.jpg', lambda im: half(im, 'a.jpg'), 'truncated'),
    'truncated WebP': ('bad.webp', lambda im: half(im, 'a.webp'), 'bad.webp'),
    'damaged TIFF': ('bad.tif', damaged_tiff, 'bad.tif'), # libtiff would add a line of its own
    'zero-sized PNG': ('bad.png', lambda im: png(0, 0), 'bad.png'),
    'zero-sized PPM': ('bad.ppm', lambda im: b'P6 0 5 255\n', 'bad.ppm'),
    'decompression bomb': ('bad.png', lambda im: png(30000, 30000), 'more pixels'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_picture(case, fails, photographs, folder):
    name, make, says = BAD[case]
    Path(name).write_bytes(make(photographs['china'].resize((200, 150))))
    for words in (['reveal', name, '-o', 'new/found'], ['hide', name, 'secret.png', '-o', 'new.png'],
                  ['hide', 'cover.png', name, '-o', 'new.png'], ['attack', name, 'jpeg70', '-o', 'new.png'],
                  ['compare', 'cover.png', name]):
        fails(*words, says=says)


def test_too_small(fails):
    Image.new('RGB', (200, 15)).save('bad.png')
    fails('hide', 'bad.png', 'secret.png', '-o', 'new.png', says='too small')
    Image.new('RGB', (2000, 20)).save('thin.png')
    fails('hide', 'thin.png', 'secret.png', '-o', 'new.png', says='too small')


def test_paths_that_cannot_be_read_or_written(fails):
    Path('file').write_text('a file, not a folder')
    Path('folder.png').mkdir()
    hide = ['hide', 'cover.png', 'secret.png', '-o']
    for words, says in ((['hide', 'missing.png', 'secret.png', '-o', 'new.png'], 'missing.png: No such file'),
                        (['reveal', 'missing.png', '-o', 'new'], 'missing.png'),
                        (['reveal', 'folder.png', '-o', 'new'], 'no picture in this folder'),
                        (['compare', 'cover.png', 'x'*300], 'too long'),
                        ([*hide, 'missing/new.png'], 'no such folder'), ([*hide, 'file/new.png'], 'no such folder'),
                        ([*hide, 'folder.png', '--force'], 'is a folder'), ([*hide, 'x'*300 + '.tiff'], 'too long'),
                        (['reveal', 'cover.png', '-o', 'file'], 'is not a folder'),
                        (['reveal', 'cover.png', '-o', 'file/new'], 'Not a directory'),
                        ([*hide, 'new'], 'there are .png'), ([*hide, 'new.gif'], 'there are .png'),
                        (['measure', '--weights', 'p1', '-o', 'file'], '--force'),
                        (['measure', '--weights', 'p1', '-o', 'folder.png'], 'is a folder')):
        fails(*words, says=says)


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='root may write anywhere')
def test_folder_that_may_not_be_written(fails, folder):
    (folder/'locked').mkdir(0o555)
    fails('hide', 'cover.png', 'secret.png', '-o', 'locked/new.png', says='Permission denied')
    fails('reveal', 'cover.png', '-o', 'locked/new', says='Permission denied')


def test_only_the_folder_that_is_written_must_be_writable(works, folder, monkeypatch):
    works('hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--promise', 'light')
    (folder/'mine').mkdir()
    access = os.access
    may = lambda p, mode: access(p, mode) and (not mode & os.W_OK or Path(p).name == 'mine')
    monkeypatch.setattr(os, 'access', may)
    works('reveal', 'marked.png', '-o', folder/'mine')


def test_existing_outputs_are_kept(fails, works):
    works('hide', 'cover.png', 'secret.png', '-o', 'marked.png')
    works('reveal', 'marked.png', '-o', 'found')
    for words in (['hide', 'cover.png', 'secret.png', '-o', 'marked.png'], ['reveal', 'marked.png', '-o', 'found'],
                  ['attack', 'cover.png', 'blur1', '-o', 'marked.png']):
        fails(*words, says='--force')
        works(*words, '--force')
    Path('bad.png').write_text('no picture')
    fails('reveal', 'bad.png', '-o', 'found', '--force', says='not an image')


def test_an_output_is_never_an_input(fails):
    for output in ('cover.png', 'secret.png', './cover.png'):
        fails('hide', 'cover.png', 'secret.png', '-o', output, '--force', says='also an input')
    os.link('cover.png', 'same.png')
    fails('hide', 'cover.png', 'secret.png', '-o', 'same.png', '--force', says='also an input')
    fails('attack', 'cover.png', 'blur1', '-o', 'cover.png', '--force', says='also an input')
    os.rename('same.png', 'secret1.png')
    fails('reveal', 'secret1.png', '-o', '.', '--force', says='also an input')


def test_bad_weights(fails):
    Path('bad.safetensors').write_bytes(b'not weights at all')
    fails('info', 'bad.safetensors', says='not a file of weights')
    fails('info', 'n99', says='no such name; there are')


@pytest.mark.parametrize('words, says', [
    ('hide cover.png secret.png -o new.jpg --quality 101', 'quality'),
    ('hide cover.png secret.png -o new.png --promise firm', 'there are light'),
    ('hide cover.png -o new.png', 'one to four pictures'), ('hide cover.png secret.png', 'name the marked picture'),
    ('attack cover.png squeeze5 -o new.png', 'no such attack'),
    ('attack cover.png jpeg500 -o new.png', 'between 1 and 100'),
    ('attack cover.png scale1000 -o new.png', 'between'),
    ('evaluate missing', 'no such folder'), ('evaluate . --attacks jpeg', 'jpeg: needs a strength: jpeg1 to jpeg100'),
    ('evaluate . --pairs 0', 'pairs'),
    ('train --params missing.yaml', 'missing.yaml'), ('train --params bad.yaml', 'learning_rate'),
    ('train --params good.yaml --variant none', 'none: no such variant'),
    ('train --params good.yaml --set train.steps', 'KEY=VALUE'),
    ('train --params good.yaml --set train.steps=[', 'train.steps=[: [ is not YAML'),
    ('train --params good.yaml --set train=5', 'train: 5 is not a mapping'),
    ('train --params good.yaml --set given.steps=5', 'given: no such parameter'),
    ('train --params good.yaml --data missing', 'missing/train.npy: no such array'),
    ('measure --params good.yaml --weights p1', '--out'), ('measure --params good.yaml -o new.json', '--weights'),
    ('measure --weights p1 --params missing.yaml -o new.json', 'missing.yaml'),
    ('measure --weights p1 --params good.yaml -o new.json', 'data/prepared/train.npy: no such array'),
    ('measure --weights p1 --params good.yaml -o new.json --set evaluate.pairs=0', 'evaluate.pairs'),
    ('info missing.jpg', 'missing.jpg: No such file'), ('info .', '.: Is a directory'), ('info -', 'standard input'),
    ('info bad.yaml', 'bad.yaml: not an image'), ('info cover.png --for x --promise light', 'one of them'),
    ('info cover.png --for pigeon', 'no such messenger'), ('hide no.png secret.png -o cover.png', 'no.png: No such'),
    ('hide cover.png secret.png --file bad.yaml -o a.png', 'not both'),
    ('hide cover.png secret.png -o no/a.png', 'no: there is no such folder'),
    ('attack cover.png jpeg -o a.png', 'jpeg: needs a strength: jpeg1 to jpeg100'),
    ('attack cover.png jepg70 -o a.png', 'did you mean jpeg70?'), ('attack cover.png webp80+ -o a.png', '+: no such'),
    ('attack cover.png jpeg70,blur1 -o a.png', 'joined by +'),
    ('hide cover.png no.png -o a.png --password', 'no.png: No such'),
    ('show', 'show')])
def test_bad_options(words, says, fails, monkeypatch):
    Path('bad.yaml').write_text('train: {learning_rate: 1}\nprepare: {sets: {train: {}}}\n')
    Path('good.yaml').write_text('train: {}\nprepare: {sets: {train: {}}}\nevaluate: {sets: [train]}\n')
    monkeypatch.setattr('sys.stdin', open('bad.yaml')) # no picture
    fails(*words.split(), says=says)


def test_too_few_photographs(fails, folder):
    (folder/'few').mkdir()
    (folder/'few'/'only.png').write_bytes(Path('cover.png').read_bytes())
    (folder/'few'/'broken.png').write_text('no picture')
    fails('evaluate', 'few', says='1 usable photographs of 2')


def test_interrupted_or_out_of_memory(fails, hi3, folder, monkeypatch):
    from hi3_nb import coded, revealing
    def raising(e):
        def f(*a, **kw): raise e
        return f
    for e in (MemoryError(), RuntimeError('DefaultCPUAllocator: can\'t allocate memory')):
        monkeypatch.setattr(revealing, 'reveal', raising(e))
        fails('reveal', 'cover.png', '-o', 'new', says='not enough memory')
    monkeypatch.setattr(coded, 'hide', raising(KeyboardInterrupt()))
    before = files(folder)
    assert hi3('hide', 'cover.png', 'secret.png', '-o', 'new.png') == (130, '', '') and files(folder) == before
    monkeypatch.setattr(coded, 'hide', raising(AssertionError('a fault of ours')))
    with pytest.raises(AssertionError): main(['hide', 'cover.png', 'secret.png', '-o', 'new.png'])


def shell(*words, **kw):
    return subprocess.Popen([sys.executable, '-m', 'hi3_nb.commands', *map(str, words)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def attend_interrupts(): signal.signal(signal.SIGINT, signal.SIG_DFL) # which a shell's background jobs ignore


@pytest.mark.slow
def test_full_disk(folder, photographs):
    before = files(folder)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)) # writing fails half-way, as on a full disk
    p = shell('hide', 'cover.png', 'secret.png', '-o', 'new.png', preexec_fn=limit)
    out, err = p.communicate(timeout=60)
    assert_one_line(p.returncode, out, err, 'new.png: File too large')
    assert files(folder) == before


@pytest.mark.slow
def test_interrupted_in_a_shell(folder):
    attacks = ','.join(f'jpeg{q}' for q in range(20, 100)) # minutes of work: it must not end by itself
    env = {**os.environ, 'TMPDIR': str(folder), 'OMP_NUM_THREADS': '1'}
    p = shell('evaluate', '.', '--size', 1024, '--attacks', attacks, env=env, preexec_fn=attend_interrupts)
    while not list(folder.glob('hi3-*/*.npy')):
        assert p.poll() is None, p.communicate()
        time.sleep(.02)
    for _ in range(3): # Python loses an interrupt that meets an object's end; people ask again
        p.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = p.communicate(timeout=30)
            break
    assert p.returncode == 130 and 'Traceback' not in err and not list(folder.glob('hi3-*')), err


def test_interrupt_that_meets_an_objects_end():
    "Python drops one that comes there; the command line must not."
    code = """
import signal, sys, time, weakref
from hi3_nb import commands
class Thing: pass
def app(*_, **__):
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    for _ in range(1000): time.sleep(.01)
commands.app = app
sys.exit(commands.main([]))
"""
    p = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60,
                       preexec_fn=attend_interrupts)
    assert p.returncode == 130 and not p.stderr, p.stderr


@pytest.mark.slow
def test_in_a_shell(folder):
    "A broken file beside a good one: codes, streams, and help without the seconds that torch takes."
    for words, code in ((['hide', 'cover.png', 'secret.png', '-o', 'marked.png'], 0), (['--help'], 0)):
        p = shell(*words)
        out, err = p.communicate(timeout=60)
        assert p.returncode == code and out and 'Warning' not in err and 'Traceback' not in err, err
    quick = ('import sys; from hi3_nb.commands import main; main(["--help"]); '
             'sys.exit("torch" in sys.modules or "numpy" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', quick], stdout=subprocess.DEVNULL).returncode == 0
    for words in (('hide', 'cover.png', 'secret.png', '-o', 'again.png'), ('reveal', 'again.png', '-o', 'found'),
                  ('compare', 'cover.png', 'again.png')):
        code = f'import sys; from hi3_nb.commands import main; sys.exit(main({words}) or "torch" in sys.modules)'
        assert subprocess.run([sys.executable, '-c', code], stdout=subprocess.DEVNULL).returncode == 0, words


def rotated(im, name): # stored on its side, as phones do
    exif = Image.Exif()
    exif[0x0112] = 6
    im.transpose(Image.Transpose.ROTATE_90).save(name, exif=exif)


def palette_with_hole(im, name): im.quantize(64).save(name, transparency=0)
def animated(im, name): im.save(name, save_all=True, append_images=[im.rotate(90)])
def sixteen_bits(im, name): Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(name)

KINDS = {
    'grey': ('in.png', lambda im, name: im.convert('L').save(name), ''),
    'black and white': ('in.png', lambda im, name: im.convert('1').save(name), ''),
    'palette': ('in.png', lambda im, name: im.quantize(64).save(name), ''),
    'palette with a hole': ('in.png', palette_with_hole, 'transparent; laid on white'),
    'alpha': ('in.png', lambda im, name: im.convert('RGBA').save(name), ''), '16 bits': ('in.png', sixteen_bits, ''),
    'CMYK': ('in.jpg', lambda im, name: im.convert('CMYK').save(name), 'CMYK without a colour profile'),
    'Adobe RGB': ('in.png', lambda im, name: im.save(name, icc_profile=profiles.rgb('Adobe RGB')), 'Adobe RGB'),
    'broken profile': ('in.png', lambda im, name: im.save(name, icc_profile=b'none'), 'its colour profile is ignored'),
    'rotated': ('in.jpg', rotated, 'turned upright'),
    'animated GIF': ('in.gif', animated, 'has several frames'),
    'animated PNG': ('in.png', animated, 'has several frames'),
    'animated WebP': ('in.webp', animated, 'has several frames'),
    'pages of a TIFF': ('in.tif', animated, 'has several frames')}


@pytest.mark.parametrize('kind', KINDS)
def test_kinds_of_pictures(kind, works, folder, photographs):
    name, make, note = KINDS[kind]
    make(photographs['china'].resize((216, 144)), name)
    for words in (['hide', name, 'secret.png', '-o', 'as-cover.png'],
                  ['hide', 'cover.png', name, '-o', 'as-secret.png', '--promise', 'light'],
                  ['attack', name, 'jpeg70', '-o', 'attacked.png']):
        if words[1] == name and kind == 'black and white': continue # no pixel of it can move both ways
        told = [n for n in works(*words)['notes'] if n.startswith(f'{name}: ') and 'coarse' not in n]
        assert len(told) == bool(note) and all(note in n for n in told)
    if kind != 'black and white': assert Image.open('as-cover.png').size == (216, 144)


def test_large_pictures_without_warnings(works, monkeypatch, recwarn):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 200*150 - 1) # Pillow warns from here to twice as many
    assert works('compare', 'cover.png', 'cover.png')['psnr'] == 100 and not len(recwarn)


@pytest.mark.parametrize('name, lossless', [('new.png', True), ('new.TIF', True), ('new.bmp', True),
                                            ('new.jpg', False), ('new.webp', False)])
def test_output_formats(name, lossless, works):
    result = works('hide', 'cover.png', 'secret.png', '-o', name, '--quality', 90)
    works('hide', 'cover.png', 'secret.png', '-o', 'whole.png')
    assert (psnr_of(read_image(name), read_image('whole.png')) == 100) == lossless
    said = 'does nothing' if lossless else 'of the error correction'
    assert [said in n for n in result['notes'] if 'quality 90' in n] == [True]
    in_the_file = psnr_of(read_image('cover.png'), read_image(name))
    assert result['psnr'] == round(in_the_file, 2)


@pytest.mark.parametrize('name', ['new.jpg', 'new.png', 'new.tif', 'new.webp', 'new.bmp'])
def test_colours_become_srgb_and_whereabouts_stay_at_home(name, works):
    profile, exif = profiles.rgb('Display P3'), Image.Exif()
    exif[0x010e] = 'at home'
    with Image.open('cover.png') as im: im.save('phone.jpg', icc_profile=profile, exif=exif)
    with Image.open('secret.png') as im: im.save('secret.jpg', icc_profile=profile)
    marked = works('hide', 'phone.jpg', 'secret.jpg', '-o', name)
    told = 'converted from its colour profile (Display P3) to sRGB'
    assert [n for n in marked['notes'] if 'profile' in n] == [f'{f}: {told}' for f in ('phone.jpg', 'secret.jpg')]
    with Image.open(name) as im:
        assert im.info.get('icc_profile') == (None if name == 'new.bmp' else srgb_profile())
        assert 0x010e not in im.getexif() and b'at home' not in Path(name).read_bytes()
    assert works('compare', 'phone.jpg', name)['psnr'] > 25 # as a viewer shows both
    works('reveal', name, '-o', 'found')
    with Image.open('found/secret1.png') as im: assert im.info['icc_profile'] == srgb_profile()


def seal(im): # a disc; its colours go on around it
    a = np.hypot(*np.indices((150, 200)) - np.array([75, 100])[:, None, None])
    im.putalpha(Image.fromarray((255 * (80 - a).clip(0, 30) / 30).astype(np.uint8)))
    return im.getchannel('A')


@pytest.mark.parametrize('name, keeps', [('new.png', True), ('new.tif', True), ('new.webp', True), ('new.bmp', False),
                                         ('new.jpg', False)])
def test_transparent_covers(name, keeps, works):
    with Image.open('cover.png') as im:
        alpha = seal(im)
        im.save('seal.png')
    marked = works('hide', 'seal.png', 'secret.png', '-o', name)
    assert 'seal.png: transparent; laid on white' in marked['notes']
    assert (f'{name}: as transparent as seal.png' in marked['notes']) == keeps
    with Image.open(name) as im:
        if keeps: assert im.getchannel('A').tobytes() == alpha.tobytes()
        else: assert im.mode == 'RGB'
    assert marked['psnr'] == round(psnr_of(read_image('seal.png'), read_image(name)), 2) > 25
    found = works('reveal', name, '-o', 'found')['secrets'] # also what lies where nothing can be seen
    assert works('compare', 'secret.png', *found)['psnr'] > 18
    again, = hi3_nb.reveal(name) # in Python too
    assert again.tobytes() == read_image(found[0]).tobytes() and not again.info


def test_short_jpegs(works, fails):
    with Image.open('cover.png') as im: im.save('short.jpg')
    data = Path('short.jpg').read_bytes()
    Path('short.jpg').write_bytes(data[:-len(data) // 30])
    told = 'short.jpg: ends too early; the rest is as the decoder left it'
    assert told in works('hide', 'short.jpg', 'secret.png', '-o', 'new.png')['notes']
    assert told in works('hide', 'cover.png', 'short.jpg', '-o', 'other.png')['notes']
    Path('short.jpg').write_bytes(data[:-len(data) // 5])
    fails('hide', 'short.jpg', 'secret.png', '-o', 'third.png', says='short.jpg: image file is truncated')


def test_sides_that_a_format_lacks(fails, monkeypatch):
    monkeypatch.setattr('hi3_nb.coded.hide', lambda *a, **kw: pytest.fail('began to work'))
    Image.new('RGB', (16400, 16)).save('long.png')
    for words in (('hide', 'long.png', 'secret.png'), ('attack', 'long.png', 'blur1')):
        fails(*words, '-o', 'new.webp', says='new.webp: WEBP has at most 16383 pixels a side, not 16400')


def test_a_forced_file_keeps_its_mode(works):
    works('hide', 'cover.png', 'secret.png', '-o', 'marked.png')
    Path('marked.png').chmod(0o600)
    works('hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--force')
    assert Path('marked.png').stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('cover', ['thumbnail', 'phone'])
def test_hide_attack_reveal_compare(cover, folder, works, hi3, photographs):
    china, name = photographs['china'], 'thumbnail.png'
    if cover == 'phone':
        rotated(china.resize((200, 150)).transpose(Image.Transpose.ROTATE_90), name := 'phone.jpg')
    else:
        china.resize((200, 150)).save(name)
    size = (150, 200) if cover == 'phone' else (200, 150)
    marked = works('hide', name, 'secret.png', '-o', 'marked.png')
    assert (marked['width'], marked['height']) == size and marked['psnr'] > 25
    assert any('upright' in n for n in marked['notes']) == (cover == 'phone')
    works('attack', 'marked.png', 'jpeg75', '-o', 'sent.jpg')
    found = works('reveal', 'sent.jpg', '-o', 'a/b')
    assert found['secrets'] == ['a/b/secret1.png'] and Image.open('a/b/secret1.png').size == (120, 80)
    quality = works('compare', 'secret.png', 'a/b/secret1.png')
    assert quality['psnr'] > 15 and 0 < quality['ssim'] < 1
    code, out, err = hi3('compare', 'marked.png', 'sent.jpg')
    assert code == 0 and err == '' and out.startswith('PSNR ') and out.count('\n') == 1


def test_found_at_whatever_size_and_however_turned(works, photographs):
    photographs['china'].resize((400, 300)).save('larger.png')
    works('hide', 'larger.png', 'secret.png', '-o', 'marked.png')
    for i, (size, turn) in enumerate([((320, 240), None), ((500, 375), None), ((400, 300), 'ROTATE_90')]):
        with Image.open('marked.png') as im:
            sent = im.resize(size)
            (sent.transpose(Image.Transpose[turn]) if turn else sent).save('sent.png')
        found = works('reveal', 'sent.png', '-o', f'{i}.png')
        assert found['what'] == 'recovered' and (found['turned'] is None) == (turn is None)
        assert works('compare', 'secret.png', f'{i}.png')['psnr'] > 20


def test_a_part_says_how_much_of_the_picture_was_there(works, photographs):
    photographs['china'].resize((400, 300)).save('larger.png')
    works('hide', 'larger.png', 'secret.png', '-o', 'marked.png')
    with Image.open('marked.png') as im: im.crop((10, 5, 400, 300)).save('part.png')
    found = works('reveal', 'part.png', '-o', 'found')
    assert found['what'] == 'recovered' and .8 < found['seen'] < 1


def test_nine_secrets_are_too_many(fails):
    fails('hide', 'cover.png', *['secret.png']*9, '-o', 'new.png', says='one to four pictures')


def test_a_cover_that_cannot_keep_the_promise_says_so(fails, photographs):
    photographs['china'].resize((216, 144)).convert('1').save('drawing.png')
    for name in 'drawing.png', 'blank.png':
        if name == 'blank.png': Image.new('RGB', (400, 300), 'white').save(name)
        fails('hide', name, 'secret.png', '-o', 'new.png', says='promise less')


def test_every_answer_has_an_exit_code(works, hi3):
    for words, told in (['--no-search'], 0), ([], 1):
        code, out, err = hi3('reveal', 'cover.png', '-o', 'new', *words)
        assert code == 4 and out == 'cover.png: nothing is hidden in this picture, or nothing is left of it\n'
        assert err.count('searching') == err.count('\n') == told
    assert not Path('new').exists()
    works('hide', 'cover.png', 'secret.png', '-o', 'marked.png')
    works('attack', 'marked.png', 'jpeg35', '-o', 'spoilt.png')
    code, out, err = hi3('reveal', 'spoilt.png', '-o', 'left', '--json')
    result = json.loads(out)
    assert code == 3 and result['what'] == 'damaged' and result['secrets'] == []
    assert [str(p) for p in sorted(Path('left').glob('*'))] == result['thumbnails']


def test_nothing_of_an_earlier_run_is_left(works):
    works('hide', 'cover.png', 'secret.png', 'secret.png', '-o', 'two.png', '--promise', 'light')
    works('hide', 'cover.png', 'secret.png', '-o', 'one.png', '--promise', 'light')
    works('reveal', 'two.png', '-o', 'found')
    works('reveal', 'one.png', '-o', 'found', '--force')
    assert [p.name for p in Path('found').iterdir()] == ['secret1.png']


def test_attacked_files_are_what_the_codec_wrote(works):
    "Compressed once, not twice: the JPEG holds the very pixels of the attack."
    for codec in ('jpeg', 'webp'):
        works('attack', 'cover.png', f'blur1+{codec}60', '-o', f'a.{codec}')
        works('attack', 'cover.png', f'blur1+{codec}60', '-o', f'a-{codec}.png')
        assert psnr_of(read_image(f'a.{codec}'), read_image(f'a-{codec}.png')) == 100
    assert any('one more attack' in n for n in works('attack', 'cover.png', 'scale0.5', '-o', 'b.jpg')['notes'])
    for seed in (1, 2): works('attack', 'cover.png', 'noise5', '-o', f'{seed}.png', '--seed', seed)
    assert Path('1.png').read_bytes() != Path('2.png').read_bytes()


def test_evaluate_and_info(works, hi3, folder):
    (folder/'bad.png').write_text('no picture')
    words = ['evaluate', '.', '--size', 64, '--attacks', 'none, jpeg70']
    result = works(*words)
    assert result['pairs'] == 2 and list(result['attacks']) == ['none', 'jpeg70']
    assert any('bad.png' in n for n in result['notes'])
    code, out, _ = hi3(*words)
    assert code == 0 and '| JPEG quality 70 |' in out
    info, = works('info', 'p1')['weights']
    assert info['config']['secrets'] == 1 and info['method'] == 'hi3'
    assert hi3('--version')[1].startswith('hi3 ') and 'Usage' in hi3()[1]
    for command in ('hide', 'reveal', 'attack', 'compare', 'evaluate', 'train', 'measure', 'info'):
        assert f'hi3 {command} ' in hi3(command, '--help')[1]


VARIANTS = dict(common=dict(steps=3), variants=dict(plain=dict(validate_every=3, networks=dict(progressive=False))))


def train(hi3, tiny, out, *words):
    params = yaml.safe_load((tiny.folder/'params.yaml').read_text())
    Path('params.yaml').write_text(yaml.safe_dump({**params, 'ablate': VARIANTS}))
    code, text, err = hi3('train', '--data', tiny.folder, '--out', out, '--set', 'train.steps=2', *words)
    assert code == 0 and json.loads(text.splitlines()[-1])['steps'] == 2, err
    return about_weights(f'{out}/model.safetensors')['about']['parameters'], err


@pytest.mark.slow
def test_train_and_measure(works, fails, folder, tiny, hi3):
    parameters, err = train(hi3, tiny, 'run', '--set', 'train.validate_every=2')
    assert parameters['networks']['progressive'] and not err
    weights = 'run/model.safetensors'
    few = (f'evaluate.{k}' for k in ('sets=[train]', 'pairs=2', 'attacks=[none, jpeg70]', 'curve=[]', 'curve_pairs=2'))
    words = ['measure', '--data', tiny.folder, '--weights', weights, *(x for k in few for x in ('--set', k))]
    assert works(*words, '--out', 'a/b.json')['sets']['train']['pairs'] == 2
    record = json.loads(Path('a/b.json').read_text())
    assert list(record['sets']['train']['attacks']) == ['none', 'jpeg70'] and record['config']['pairs'] == 2
    assert record['weights']['hash'] == file_hash(weights) and {'revision', 'device', 'versions'} <= set(record)
    fails(*words, '--out', 'a/b.json', says='--force')
    code, out, err = hi3(*words, '--out', 'a/b.json', '--force')
    assert code == 0 and '| JPEG quality 70 |' in out and '| **marked image' in out, err


@pytest.mark.slow
def test_what_is_given_wins_over_the_variant(folder, tiny, hi3):
    parameters, err = train(hi3, tiny, 'run', '--variant', 'plain', '--set', 'train.validate_every=2')
    assert not parameters['networks']['progressive'] and parameters['validate_every'] == 2
    notes = 'train.steps: 2 as given, not 3 of', 'train.validate_every: 2 as given, not 3 of'
    assert err.splitlines() == [f'note: {n} ablate.variants.plain' for n in notes]
