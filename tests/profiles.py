"Colour profiles as small as the format allows, made here: RGB by primaries and gamma, grey, and a press."
import struct

import numpy as np

# XYZ of red, green and blue under D50
PRIMARIES = {
    'Display P3': ((.51512, .24120, -.00105), (.29198, .69225, .04189), (.15710, .06657, .78407)),
    'Adobe RGB': ((.60974, .31111, .01947), (.20528, .62567, .06087), (.14919, .06322, .74457)),
    'ProPhoto': ((.79767, .28804, 0), (.13519, .71188, 0), (.03134, .00009, .82491))}
GAMMA = {'Display P3': 2.2, 'Adobe RGB': 2.19921875, 'ProPhoto': 1.8}
D50 = .9642, 1., .8249


def xyz(values): return b'XYZ ' + bytes(4) + struct.pack('>3i', *(round(v * 65536) for v in values))
def curve(gamma): return b'curv' + bytes(4) + struct.pack('>IH', 1, round(gamma * 256))
def words(text): return b'desc' + bytes(4) + struct.pack('>I', len(text) + 1) + text.encode() + bytes(79)


def profile(kind, space, tags, pcs=b'XYZ ', name='made for a test'):
    "An ICC profile, version 2: `kind` is mntr or prtr."
    tags = {b'desc': words(name), b'wtpt': xyz(D50), b'cprt': b'text' + bytes(4) + b'none\0', **tags}
    table, body, at = struct.pack('>I', len(tags)), b'', 128 + 4 + 12*len(tags)
    for key, data in tags.items():
        table += struct.pack('>4sII', key, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack('>I4sI4s4s4s', at + len(body), bytes(4), 0x02100000, kind, space, pcs)
    head += struct.pack('>6H', 2026, 1, 1, 0, 0, 0) + b'acsp' + bytes(28) + struct.pack('>3i', 63190, 65536, 54061)
    return head.ljust(128, b'\0') + table + body


def rgb(name):
    tags = {t: xyz(v) for t, v in zip((b'rXYZ', b'gXYZ', b'bXYZ'), PRIMARIES[name])}
    tags |= dict.fromkeys((b'rTRC', b'gTRC', b'bTRC'), curve(GAMMA[name]))
    return profile(b'mntr', b'RGB ', tags, name=name)


def grey(gamma): return profile(b'mntr', b'GRAY', {b'kTRC': curve(gamma)}, name=f'grey {gamma:g}')


def press():
    "Of a press whose inks are much paler than ideal ones: tables of Lab for all 16 mixtures of none and all of an ink."
    inks = {(0, 0, 0): (95, 0, -2), (1, 0, 0): (55, -37, -50), (0, 1, 0): (48, 74, -3), (0, 0, 1): (89, -5, 93),
            (1, 1, 0): (24, 17, -46), (1, 0, 1): (50, -65, 27), (0, 1, 1): (47, 68, 48), (1, 1, 1): (23, 0, 0)}
    table = bytearray()
    for mix in np.ndindex(2, 2, 2, 2):
        light, a, b = inks[mix[:3]]
        if mix[3]: light, a, b = 16 * light / 95, 0, 0
        table += bytes((round(light * 2.55), round(a) + 128, round(b) + 128))
    straight = bytes(range(256))
    one = struct.pack('>9i', *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b'mft1' + bytes(4) + bytes((4, 3, 2, 0)) + one + straight*4 + bytes(table) + straight*3
    return profile(b'prtr', b'CMYK', {t: lut for t in (b'A2B0', b'A2B1')}, pcs=b'Lab ', name='a press')


def expected(pixels, name):
    "What an RGB profile makes of levels (..., 3): sRGB, by the formulas, as floats."
    linear = (np.asarray(pixels) / 255.)**GAMMA[name] @ np.array(PRIMARIES[name])
    srgb = np.array([(.43607, .22249, .01392), (.38515, .71687, .09708), (.14307, .06061, .71410)])
    v = (linear @ np.linalg.inv(srgb)).clip(0, 1)
    return 255 * np.where(v <= .0031308, 12.92*v, 1.055 * v**(1/2.4) - .055)
