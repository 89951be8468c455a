"""Disks that are full or may not be written: what was there stays, nothing half is left, and with more room the work
goes on. They are small file systems in memory, which only root may mount."""
import errno
import json
import shutil
import subprocess
import threading

import coco
import pytest
import torch
from conftest import learn
from PIL import Image
from safetensors.torch import load_file
from test_download import DATA, MD5, SIZE, Server

from hi3_nb.commands import main
from hi3_nb.data import SetConfig, prepare
from hi3_nb.files import check_outputs
from hi3_nb.images import EXAMPLES, package_file
from hi3_nb.records import write_json

FULL, READ_ONLY = errno.ENOSPC, errno.EROFS


@pytest.fixture
def disk(tmp_path):
    path = tmp_path/'disk'
    path.mkdir()
    p = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], capture_output=True, text=True)
    if p.returncode: pytest.skip(f'cannot mount a small disk: {p.stderr.strip()}')
    yield path
    subprocess.run(['umount', '-l', path], check=True)


def remount(disk, options): subprocess.run(['mount', '-o', f'remount,{options}', disk], check=True)


def fill(disk):
    "Write until nothing more fits."
    with pytest.raises(OSError), open(disk/'filler', 'wb', buffering=0) as f:
        while f.write(bytes(512)): pass


def files(folder): return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def fails(number, folder, work, *arguments, **kw):
    "The work ends with this error, which names a file of the folder, and leaves the folder as it was."
    before = files(folder)
    with pytest.raises(OSError) as e: work(*arguments, **kw)
    assert e.value.errno == number and str(folder) in str(e.value.filename), e.value
    assert files(folder) == before


def fails_in_a_line(capfd, folder, says, main, *words):
    "The command prints one line with these words and the folder, ends with 2, and leaves the folder as it was."
    before = files(folder)
    assert main([str(w) for w in words]) == 2
    out, err = capfd.readouterr()
    assert out == '' and err.startswith(('hi3: ', 'coco.py: ')) and err.count('\n') == 1, err
    assert says in err and str(folder) in err and files(folder) == before, err


def test_prepare(disk):
    few, many = SetConfig('bundled', limit=4), SetConfig('bundled', limit=20)
    prepare(few, disk/'x.npy', 32)
    fails(FULL, disk, prepare, many, disk/'x.npy', 64) # the older set stays
    remount(disk, 'ro')
    fails(READ_ONLY, disk, prepare, many, disk/'x.npy', 64)
    remount(disk, 'rw,size=1m')
    assert prepare(many, disk/'x.npy', 64)['photos'] == 20


@pytest.mark.slow
def test_train(disk, array, tmp_path, capfd):
    learn(array, tmp_path/'whole')
    size = (tmp_path/'whole'/'checkpoint.pt').stat().st_size
    remount(disk, f'size={size * 3 // 2}') # one checkpoint, and half of the next
    with pytest.raises(OSError, match='checkpoint.pt'): learn(array, disk/'run')
    steps = lambda: torch.load(disk/'run'/'checkpoint.pt', weights_only=True)['step']
    assert steps() == 1 and not list(disk.rglob('*.part'))
    remount(disk, 'ro')
    fails(READ_ONLY, disk, learn, array, disk/'run')
    remount(disk, f'rw,size={size * 4}')
    learn(array, disk/'run')
    a, b = (load_file(k/'model.safetensors') for k in (tmp_path/'whole', disk/'run'))
    assert steps() == 6 and all(torch.equal(a[k], b[k]) for k in a)


def test_results(disk):
    write_json(disk/'results.json', dict(a=1))
    fill(disk)
    fails(FULL, disk, write_json, disk/'results.json', dict(b='x'*10_000))
    remount(disk, 'ro')
    fails(READ_ONLY, disk, write_json, disk/'results.json', dict(b=2))
    assert json.loads((disk/'results.json').read_text()) == dict(a=1)


def test_download(disk, capfd):
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(.01,), daemon=True).start()
        pins, part = disk.parent/'pins.dvc', disk/'a.zip.part'
        pins.write_text(f'deps:\n- path: {server.url}\nouts:\n- path: disk/a.zip\n  md5: {MD5}\n  size: {SIZE}\n')
        assert coco.main(['a', '--pins', str(pins)]) == 2
        out, err = capfd.readouterr()
        assert out == '' and err.count('\n') == 1 and f'{part}: No space left' in err, err
        assert len(server.ranges) == 1 and list(disk.iterdir()) == [part]
        assert 0 < part.stat().st_size and DATA.startswith(part.read_bytes())
        remount(disk, 'ro')
        fails_in_a_line(capfd, disk, 'Read-only', coco.main, 'a', '--pins', pins)
        remount(disk, 'rw,size=2m')
        kept = part.stat().st_size
        assert coco.main(['a', '--pins', str(pins)]) == 0
        assert (disk/'a.zip').read_bytes() == DATA and server.ranges[1:] == [kept]
        server.shutdown()


def test_hide_reveal_and_evaluate(disk, tmp_path, capfd, monkeypatch):
    hi3_fails = lambda folder, says, *words: fails_in_a_line(capfd, folder, says, main, *words)
    for name in ('china', 'cat'):
        with Image.open(package_file(EXAMPLES[name])) as im:
            im.convert('RGB').resize((160, 128)).save(tmp_path/f'{name}.png')
    photographs = tmp_path/'photographs'
    photographs.mkdir()
    for name in ('china', 'cat'): shutil.copy(tmp_path/f'{name}.png', photographs)
    hide = 'hide', tmp_path/'china.png', tmp_path/'cat.png', '-o', disk/'marked.png'
    marked = tmp_path/'marked.png'
    assert main([*map(str, hide[:-1]), str(marked), '--promise', 'light']) == 0
    capfd.readouterr()
    (disk/'marked.png').write_bytes(b'what was there')
    fill(disk)
    hi3_fails(disk, 'marked.png: No space left', *hide, '--force')
    hi3_fails(disk, 'No space left', 'reveal', marked, '-o', disk)
    with monkeypatch.context() as m:
        m.setattr('tempfile.tempdir', str(disk))
        hi3_fails(disk, 'No space left', 'evaluate', photographs, '--size', 64)
    remount(disk, 'ro')
    for new_folder in (False, True): # before the work begins
        fails(READ_ONLY, disk, check_outputs, [disk/'new.png'], [], False, new_folder)
    hi3_fails(disk, 'marked.png: Read-only', *hide, '--force')
    hi3_fails(disk, 'Read-only', 'reveal', marked, '-o', disk/'new')
    with monkeypatch.context() as m:
        m.setattr('tempfile.tempdir', str(disk))
        hi3_fails(disk, 'Read-only', 'evaluate', photographs, '--size', 64)
