"Any small file: back bit for bit, written under its name into the folder that was asked for, and nowhere else."
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hi3_nb import NeedsPassword, coded_file, hide, reveal
from hi3_nb.commands import main
from hi3_nb.distortions import real_attack
from hi3_nb.images import EXAMPLES, package_file, read_image
from hi3_nb.payload import File, plain_name

NOTES = b'Meet me at the fountain.\n' * 4


@pytest.fixture
def cover(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read_image(package_file(EXAMPLES['china'])).resize((320, 240), Image.Resampling.LANCZOS).save('cover.png')
    return 'cover.png'


def run(capfd, *words):
    code = main([*map(str, words), '--json'])
    out, err = capfd.readouterr()
    return code, json.loads(out) if out else err


def test_any_bytes_come_back(cover):
    rng = np.random.default_rng(0)
    for data, words in ((b'', None), (bytes(range(256)), None), (rng.bytes(600), 'sesame'), (bytes(10**6), None)):
        marked = hide(cover, file=data, password=words)
        found = reveal(real_attack(marked, 'jpeg70')[0], password=words)
        assert (found.what, found.file, list(found)) == ('file', File('file', data), [])
        if words:
            with pytest.raises(NeedsPassword): reveal(marked, password='other')


def test_in_a_shell(cover, capfd):
    Path('notes.txt').write_bytes(NOTES)
    assert run(capfd, 'hide', cover, '--file', 'notes.txt', '-o', 'marked.png')[0] == 0
    code, found = run(capfd, 'reveal', 'marked.png', '-o', 'found')
    assert code == 0 and found['secrets'] == ['found/notes.txt'] and Path('found/notes.txt').read_bytes() == NOTES
    Path('found/notes.txt').write_text('mine')
    assert 'exists already' in run(capfd, 'reveal', 'marked.png', '-o', 'found')[1]
    assert Path('found/notes.txt').read_text() == 'mine'
    assert run(capfd, 'reveal', 'marked.png', '-o', 'found', '--force')[0] == 0
    code, err = run(capfd, 'reveal', 'marked.png', '-o', 'found.png')
    assert code == 2 and 'name a folder' in err and not Path('found.png').exists()
    for name, goes in ('mine.txt', 'mine.txt'), ('mine.d', 'mine.d/notes.txt'): # its own extension: the file's name
        assert run(capfd, 'reveal', 'marked.png', '-o', name)[1]['secrets'] == [goes]
        assert Path(goes).read_bytes() == NOTES
    found = reveal('marked.png')
    assert found and not list(found) and 'notes.txt' in repr(found) # an empty list would look like nothing


def test_a_file_that_is_too_large(cover, capfd):
    Path('large').write_bytes(np.random.default_rng(0).bytes(50_000))
    code, err = run(capfd, 'hide', cover, '--file', 'large', '-o', 'marked.png')
    assert code == 2 and 'large: 50,010 bytes are needed' in err and 'room for' in err
    assert not Path('marked.png').exists()
    with open('huge', 'wb') as f: f.truncate(2**24)
    assert 'too many' in run(capfd, 'hide', cover, '--file', 'huge', '-o', 'marked.png')[1]


def test_what_is_hidden_is_named(cover, capfd):
    Path('secret.png').write_bytes(Path(cover).read_bytes())
    for words in ([], ['secret.png', '--file', 'secret.png']):
        assert '--file' in run(capfd, 'hide', cover, *words, '-o', 'marked.png')[1]


@pytest.mark.parametrize('name', ['../up.txt', '/etc/up.txt', 'C:\\up.txt', '..', '', '.profile', 'a/../../up.txt'])
def test_no_name_leaves_the_folder(cover, capfd, name, monkeypatch):
    sent = File('x', NOTES).to_bytes()
    raw = sent[:1] + bytes([len(name)]) + sent[2:5] + name.encode() + sent[6:]
    monkeypatch.setattr(coded_file.FileSender, 'to_bytes', staticmethod(lambda files: raw))
    monkeypatch.setattr(File, 'to_bytes', lambda self: raw)
    hide(cover, file=NOTES).save('marked.png')
    before = {p for p in Path().rglob('*')}
    code, found = run(capfd, 'reveal', 'marked.png', '-o', 'in/found')
    assert code == 0 and found['secrets'] == [f'in/found/{plain_name(name)}'] and '..' not in plain_name(name)
    assert {p for p in Path().rglob('*')} - before == {Path('in'), Path('in/found'), Path(found['secrets'][0])}


@pytest.mark.parametrize('raw', [b'\1', b'\1\0\0\0\5abcde', b'\2\0\0\0\5abcde', b'\7\4\0\0\5nameabcde'])
def test_nonsense_is_refused(raw):
    with pytest.raises(ValueError): File.from_bytes(raw + bytes(9))
