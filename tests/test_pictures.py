"Pictures of every kind are read as a viewer shows them: profiles, modes, depths, orientations, damage; and kept so."
import io
import random
import struct
import sys
import zlib
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import profiles
import pytest
from PIL import Image, ImageFile

from hi3_nb.files import ALPHA, FORMATS, LOSSY, check_fits, check_outputs, encode, read_picture, write_files
from hi3_nb.inputs import as_picture
from hi3_nb.images import EXAMPLES, package_file
from hi3_nb.pictures import ImageError, alpha_of, as_rgb, mended, read_image, srgb_profile, upright, with_alpha

RGB = {n: profiles.rgb(n) for n in profiles.PRIMARIES}


@pytest.fixture(scope='module')
def photo(): return read_image(package_file(EXAMPLES['cat'])).resize((90, 60))


def levels(im): return np.asarray(im).astype(int)
def apart(a, b): return abs(levels(a) - levels(b)).max()


def encoded(im, kind, **options):
    im.save(f := io.BytesIO(), kind, **options)
    return f.getvalue()


def read(data): # the picture, and what was told
    return read_image(io.BytesIO(data), notes := []), [n.removeprefix('picture: ') for n in notes]


# colour profiles

@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'JPEG', 'WEBP'])
@pytest.mark.parametrize('name', RGB)
def test_profiles_become_srgb(name, kind, photo):
    best = dict(JPEG=dict(quality=100, subsampling=0), WEBP=dict(lossless=True)).get(kind, {})
    data = encoded(photo, kind, icc_profile=RGB[name], **best)
    im, told = read(data)
    with Image.open(io.BytesIO(data)) as stored: stored = levels(stored.convert('RGB'))
    assert told == [f'converted from its colour profile ({name}) to sRGB']
    assert abs(levels(im) - profiles.expected(stored, name)).max() < 2.5 and apart(im, photo) > 10
    assert im.mode == 'RGB' and not im.info


@pytest.mark.parametrize('mode', ['P', 'L', '1', 'RGBA', 'PA', 'LA'])
def test_profiles_of_other_modes(mode, photo):
    im = photo.quantize(32).convert('PA') if mode == 'PA' else photo.convert(mode)
    im.info['icc_profile'] = RGB['Adobe RGB']
    plain = im.convert('RGB')
    told = []
    assert abs(levels(as_rgb(im, told)) - profiles.expected(levels(plain), 'Adobe RGB')).max() < 2.5
    assert len(told) <= 1 # black and white stay


@pytest.mark.parametrize('gamma', [1., 1.8, 2.2, 3.])
@pytest.mark.parametrize('deep', [False, True])
def test_grey_profiles(gamma, deep, photo):
    grey = photo.convert('L')
    stored = Image.fromarray(np.asarray(grey).astype('u2') * 257) if deep else grey
    im, told = read(encoded(stored, 'TIFF' if deep else 'PNG', icc_profile=profiles.grey(gamma)))
    linear = (np.asarray(grey) / 255.)**gamma
    expected = 255 * np.where(linear <= .0031308, 12.92*linear, 1.055 * linear**(1/2.4) - .055)
    assert abs(levels(im) - expected[..., None]).max() < 2.5
    assert told == [f'converted from its colour profile (grey {gamma:g}) to sRGB']


@pytest.mark.parametrize('kind', ['JPEG', 'TIFF'])
def test_a_press(kind, photo):
    inks = photo.convert('CMYK')
    im, told = read(encoded(inks, kind, icc_profile=profiles.press(), **(dict(quality=100) if kind == 'JPEG' else {})))
    assert told == ['converted from its colour profile (a press) to sRGB'] and apart(im, photo) > 10
    plain, told = read(encoded(inks, kind, **(dict(quality=100) if kind == 'JPEG' else {})))
    assert len(told) == 1 and 'a guess' in told[0] and apart(plain, inks.convert('RGB')) < 16
    four = Image.new('CMYK', (2, 1))
    four.putpixel((1, 0), (0, 0, 0, 255))
    four.info['icc_profile'] = profiles.press()
    paper, black = levels(as_rgb(four))[0]
    assert paper.min() > 250 and abs(black - 40).max() <= 1 # its paper is white, its black ink 16 in Lab's L


def test_srgb_by_any_name_changes_nothing(photo):
    from PIL import ImageCms
    for p in (srgb_profile(), ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()):
        im, told = read(encoded(photo, 'PNG', icc_profile=p))
        assert im.tobytes() == photo.tobytes() and not told
    assert srgb_profile() == srgb_profile.__wrapped__()


@pytest.mark.parametrize('broken', [b'x', b'\0'*200, RGB['Adobe RGB'][:200], profiles.press(), profiles.grey(2.2),
                                    RGB['ProPhoto'].replace(b'RGB ', b'6CLR')])
def test_broken_profiles_are_ignored(broken, photo):
    im, told = read(encoded(photo, 'PNG', icc_profile=broken))
    assert im.tobytes() == photo.tobytes()
    assert len(told) == 1 and told[0].startswith('its colour profile is ignored: ') and told[0].isprintable()


def test_damaged_profiles_raise_nothing(photo):
    r = random.Random(0)
    for n in range(400):
        p = bytearray((*RGB.values(), profiles.press(), profiles.grey(2.2), srgb_profile())[n % 6])
        for _ in range(r.choice((1, 4, 30))): p[r.randrange(len(p))] ^= 1 << r.randrange(8)
        im = photo.convert({3: 'CMYK', 4: 'L'}.get(n % 6, 'RGB')).resize((9, 6))
        im.info['icc_profile'] = bytes(p)[:r.choice((len(p), len(p), r.randrange(len(p))))]
        told = []
        assert as_rgb(im, told).size == (9, 6) and all(t.isprintable() and len(t) < 120 for t in told)


# modes, depths, orientations

@pytest.mark.parametrize('turn', range(1, 9))
@pytest.mark.parametrize('mode', ['RGB', 'L', 'RGBA', 'P', 'I;16', 'F', 'CMYK'])
def test_every_mode_is_turned_upright(mode, turn, photo):
    back = {6: 8, 8: 6}.get(turn, turn)
    as_stored = upright_by(photo, back)
    if mode == 'I;16': im = Image.fromarray(np.asarray(as_stored.convert('L')).astype('u2') * 257)
    elif mode == 'F': im = Image.fromarray(np.asarray(as_stored.convert('L')) / np.float32(255))
    else: im = as_stored.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = turn
    im, told = read(encoded(im, 'TIFF' if mode in ('I;16', 'F', 'CMYK') else 'PNG', exif=exif))
    plain = photo.convert('L' if mode in ('I;16', 'F', 'L') else 'CMYK' if mode == 'CMYK' else 'RGB').convert('RGB')
    assert im.size == photo.size and (mode == 'P' or apart(im, plain) == 0)
    assert any('upright' in t for t in told) == (turn > 1)
    assert as_rgb(im).tobytes() == im.tobytes() # and not turned again


def upright_by(im, turn):
    im = im.copy()
    im.getexif()[0x0112] = turn
    return upright(im)


RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
DEPTHS = {'u2': RAMP.astype('u2') * 257, 'u2, dark': RAMP.astype('u2'), 'i4': RAMP.astype('i4'),
          'i4, 16 bits': RAMP.astype('i4') * 257, 'f4': RAMP / np.float32(255), 'f4, levels': RAMP.astype('f4'),
          'f4, beyond': RAMP.astype('f4') * 100, 'f4, dark': RAMP / np.float32(2550), 'f4, black': RAMP * np.float32(0)}
SHOWN = {'u2, dark': (RAMP / 257).round(), 'f4, dark': (RAMP / 10).round(), 'f4, black': RAMP * 0}


@pytest.mark.parametrize('kind', ['TIFF', 'PNG', 'PPM', None])
@pytest.mark.parametrize('depth', DEPTHS)
def test_depths(depth, kind):
    a = DEPTHS[depth]
    if kind in ('PNG', 'PPM') and a.dtype != np.uint16: pytest.skip('has 16 bits at most')
    im = Image.fromarray(a)
    if kind: im, told = read(encoded(im, kind))
    else: im, told = as_rgb(im), []
    assert abs(levels(im)[..., 1] - SHOWN.get(depth, RAMP)).max() <= (1 if 'dark' in depth else 0) and not told


def chunk(name, data): return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


@pytest.mark.parametrize('alpha', [False, True])
def test_colours_of_16_bits(alpha, photo): # which Pillow does not write
    im = photo.convert('RGBA' if alpha else 'RGB')
    if alpha: im.putalpha(Image.linear_gradient('L').resize(im.size))
    rows = (np.asarray(im).astype('>u2') * 257).astype('>u2').reshape(im.height, -1).view(np.uint8)
    pixels = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    head = struct.pack('>IIBBBBB', *im.size, 16, 6 if alpha else 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    assert read(data)[0].tobytes() == as_rgb(im).tobytes()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value):
    a = np.full((4, 4), .5, np.float32)
    a[1, 2] = value
    with pytest.raises(ImageError, match='picture: holds values that are not numbers'):
        read(encoded(Image.fromarray(a), 'TIFF'))


# transparency

def transparent(photo):
    "One picture for each way in which files are transparent, with its alpha."
    ramp = Image.linear_gradient('L').resize(photo.size)
    hole = ramp.point(lambda v: 0 if v < 90 else 255)
    whole = photo.convert('RGBA')
    whole.putalpha(ramp)
    palette = photo.quantize(16)
    grey = photo.convert('L')
    yield 'RGBA', whole, {}, ramp
    yield 'LA', Image.merge('LA', [grey, hole]), {}, hole
    yield 'P', palette, dict(transparency=3), Image.fromarray(np.where(np.asarray(palette) == 3, 0, 255).astype('u1'))
    yield 'L', grey, dict(transparency=grey.getpixel((5, 5))), Image.fromarray(
        np.where(np.asarray(grey) == grey.getpixel((5, 5)), 0, 255).astype('u1'))
    deep = np.asarray(grey).astype('u2') * 257
    yield 'I;16', Image.fromarray(deep), dict(transparency=int(deep[5, 5])), Image.fromarray(
        np.where(deep == deep[5, 5], 0, 255).astype('u1'))


@pytest.mark.parametrize('n', range(5))
def test_transparent_pictures_are_laid_on_white(n, photo):
    mode, im, options, alpha = list(transparent(photo))[n]
    data = encoded(im, 'PNG', **options)
    shown, told = read(data)
    assert told == ['transparent; laid on white']
    colours = levels(im.convert('RGBA').convert('RGB')) if mode != 'I;16' else levels(photo.convert('L').convert('RGB'))
    a = levels(alpha)[..., None] / 255
    assert abs(levels(shown) - (a*colours + (1 - a)*255)).max() <= 1
    with Image.open(io.BytesIO(data)) as im: assert alpha_of(im).tobytes() == alpha.tobytes()
    under = levels(as_rgb(Image.open(io.BytesIO(data)), told := [], stored=True))
    gone = levels(alpha) == 0
    assert (under[gone] == colours[gone]).all() and (under[~gone] == levels(shown)[~gone]).all() and not told


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp'])
def test_alpha_and_tag_go_into_files(suffix, photo, tmp_path):
    assert {FORMATS[suffix] for suffix in ('.png', '.tif', '.webp')} == set(ALPHA)
    ramp, path = Image.linear_gradient('L').resize(photo.size), tmp_path/f'a{suffix}'
    laid = Image.composite(photo, Image.new('RGB', photo.size, 'white'), ramp)
    path.write_bytes(encode(with_alpha(laid, ramp), path, quality=100))
    with Image.open(path) as im: assert alpha_of(im).tobytes() == ramp.tobytes()
    assert read_picture(path, notes := []).size == photo.size and len(notes) == 1
    if suffix != '.webp': assert apart(read_image(path), laid) <= 1


@pytest.mark.parametrize('suffix', FORMATS)
def test_outputs_are_tagged(suffix, photo, tmp_path):
    path = tmp_path/f'a{suffix}'
    path.write_bytes(encode(photo, path))
    with Image.open(path) as im: assert im.info.get('icc_profile') == (None if suffix == '.bmp' else srgb_profile())
    shown = read_picture(path, notes := [])
    assert not notes and (FORMATS[suffix] in LOSSY or shown.tobytes() == photo.tobytes())
    assert encode(photo, path) == path.read_bytes()


# damage

WAYS = {'baseline': {}, 'progressive': dict(progressive=True), '4:4:4': dict(subsampling=0), 'coarse': dict(quality=20),
        'restarts': dict(restart_marker_rows=1), '4:2:2': dict(subsampling=1)}


@pytest.mark.parametrize('grey', [False, True])
@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['china', 'astronaut', 'flower'])
def test_a_jpeg_that_ends_too_early(name, way, grey, tmp_path):
    im, path = read_image(package_file(EXAMPLES[name])).resize((400, 300)), tmp_path/'short.jpg'
    data = encoded(im.convert('L') if grey else im, 'JPEG', **WAYS[way])
    path.write_bytes(data)
    whole = read_image(path, notes := [])
    assert not notes and mended(data) is None
    for lost in (1, 2, 3, len(data) // 50, len(data) // 20):
        path.write_bytes(data[:-lost])
        im = read_image(path, notes := [])
        told = [f'{path}: ends too early; the rest is as the decoder left it']
        assert notes == told or lost <= 2 and not notes # some decoders have all they need
        assert lost > 2 or apart(im, whole) == 0
        assert way == 'progressive' or apart(im.crop((0, 0, 400, 200)), whole.crop((0, 0, 400, 200))) == 0
    for kept in (.8, .6, .3, .05):
        path.write_bytes(data[:round(len(data) * kept)])
        with pytest.raises(ImageError, match='(?i)truncated'): read_image(path, [])
    path.write_bytes(data[:-len(data) // 50])
    with pytest.raises(ImageError, match='truncated'): read_image(path) # nobody would be told
    assert as_picture(path).size == im.size
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_short_jpegs_in_threads(photo):
    data, found = encoded(photo.resize((300, 200)), 'JPEG'), []
    threads = [Thread(target=lambda: found.append(read(data[:-30])[0].tobytes())) for _ in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert len(found) == 8 and len(set(found)) == 1


# HEIC

HEIC = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'


def test_heic_names_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    (tmp_path/'x.heic').write_bytes(HEIC + bytes(100))
    says = r'x\.heic: HEIC is read where pillow-heif is installed; try: pip install pillow-heif'
    with pytest.raises(ImageError, match=says): read_image(tmp_path/'x.heic')
    with pytest.raises(ImageError, match='HEIC is read where'): as_picture(HEIC + bytes(100))


def test_heic_is_read_where_it_can_be(tmp_path, monkeypatch, photo):
    class Plugin(ImageFile.ImageFile): # a stand-in: a PNG behind the head
        format, format_description = 'HEIF', 'stand-in'
        def _open(self):
            self.fp.seek(len(HEIC))
            self._mode, self._size, self.im = photo.mode, photo.size, photo.im
            self.tile = []
        def load(self): return Image.Image.load(self)
    def register(): Image.register_open('HEIF', Plugin, lambda head: head[4:12] == b'ftypheic')
    monkeypatch.setitem(sys.modules, 'pillow_heif', SimpleNamespace(register_heif_opener=register))
    for registry in (Image.OPEN, Image.ID): monkeypatch.setattr(Image, *registered(registry))
    (tmp_path/'x.heic').write_bytes(HEIC)
    assert read_image(tmp_path/'x.heic').tobytes() == as_picture(HEIC).tobytes() == photo.tobytes()


def registered(registry): # its name, and a copy that a test may change
    return ('OPEN', dict(registry)) if isinstance(registry, dict) else ('ID', list(registry))


# from Python, and outputs

def test_what_as_picture_takes(photo, tmp_path):
    data = encoded(photo, 'PNG')
    (tmp_path/'a.png').write_bytes(data)
    a = np.asarray(photo)
    with open(tmp_path/'a.png', 'rb') as f:
        takes = (tmp_path/'a.png', str(tmp_path/'a.png'), f, data, bytearray(data), memoryview(data), io.BytesIO(data),
                 a, a / 255, (a / 255).astype('f4'), (a / 255).astype('f2'), np.asarray(photo.convert('RGBA')))
        for x in takes: assert as_picture(x).tobytes() == photo.tobytes()
    other_kinds = (a.astype(kind) for kind in (bool, 'u2', 'i8', 'f4', complex, object))
    for x in (b'', b'no picture', io.BytesIO(b'no picture'), io.StringIO('text'), 'missing.png', [[1, 2], [3, 4]],
              object(), None, 3, a[None], a[..., :2], a[:0], *other_kinds):
        with pytest.raises(ImageError): as_picture(x)


def test_sides_are_checked_first():
    for path, most in (('a.webp', 16383), ('a.jpg', 65500)):
        check_fits(Path(path), (most, 20))
        encode(Image.new('RGB', (most, 1)), Path(path))
        with pytest.raises(ValueError, match=f'{path}: .* at most {most} pixels a side, not {most + 1}'):
            check_fits(Path(path), (20, most + 1))
    check_fits(Path('a.png'), (10**6, 20))


def test_folders_that_cannot_be_written(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr('os.access', lambda p, how: seen.append(Path(p)))
    with pytest.raises(PermissionError, match=r'a\.png'): check_outputs([tmp_path/'a.png'], [], False)
    with pytest.raises(PermissionError): check_outputs([tmp_path/'x'/'y'/'a.png'], [], False, new_folder=True)
    assert seen == [tmp_path, tmp_path]


def test_temporary_names_are_never_shared(tmp_path, monkeypatch):
    "Two runs of one number, as in two containers, write into one folder at once."
    monkeypatch.setattr('os.getpid', lambda: 7)
    names, replace = [], Path.replace
    monkeypatch.setattr(Path, 'replace', lambda p, to: (names.append(p.name), replace(p, to))[1])
    for n in range(20): write_files({tmp_path/f'{n}-{k}.png': b'x' for k in range(3)})
    assert len(set(names)) == 60 and all(n.startswith('.hi3-') and n.endswith('.part') for n in names)
    assert len(list(tmp_path.iterdir())) == 60


def test_modes_of_files(tmp_path):
    path, other = tmp_path/'a.png', tmp_path/'b.png'
    other.write_bytes(b'')
    write_files({path: b'new'})
    assert path.stat().st_mode == other.stat().st_mode # as any new file
    for mode in (0o600, 0o664):
        path.chmod(mode)
        write_files({path: b'newer'})
        assert path.stat().st_mode & 0o7777 == mode
