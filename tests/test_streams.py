"Whole folders, standard input and output, streams that are closed, little memory, tiny pictures: never a traceback."
import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from hi3_nb.commands import main
from hi3_nb.images import EXAMPLES, package_file, read_image


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('in').mkdir()
    for path, name, size in (('in/a.jpg', 'china', (320, 240)), ('in/b.png', 'coffee', (320, 240)),
                             ('secret.png', 'cat', (96, 64))):
        read_image(package_file(EXAMPLES[name])).resize(size, Image.Resampling.LANCZOS).save(path)


def shell(*words, **kw):
    words = [sys.executable, '-m', 'hi3_nb.commands', *words]
    return subprocess.run(words, capture_output=True, timeout=120, **kw)


def test_folders(capfd):
    Path('in/bad.png').write_text('no picture')
    assert main(['hide', 'in', 'secret.png', '-o', 'out', '--promise', 'light']) == 2
    out, err = capfd.readouterr()
    marked, hidden = out.splitlines()[::2], out.splitlines()[1::2]
    assert [line.split(':')[0] for line in marked] == ['out/a.jpg', 'out/b.png']
    assert all(line.startswith('secret.png comes back at ') for line in hidden)
    assert err.splitlines()[-1].startswith('hi3: in/bad.png: ')
    assert {p.name for p in Path('out').iterdir()} == {'a.jpg', 'b.png'}
    assert main(['reveal', 'out', '-o', 'back', '--json', '--no-search']) == 0
    found = json.loads(capfd.readouterr().out)
    assert [f['secrets'] for f in found['pictures']] == [[f'back/{n}/secret1.png'] for n in 'ab']
    assert not found['failed']
    Path('out/c.png').write_bytes(Path('in/b.png').read_bytes())
    assert main(['reveal', 'out', '-o', 'again', '--no-search']) == 4
    assert main(['hide', 'in', 'secret.png', '-o', 'out', '--promise', 'light']) == 2 # nothing is replaced
    for words, says in ((['in'], 'also the input'), (['new.png'], 'name a folder')):
        capfd.readouterr()
        assert main(['hide', 'in', 'secret.png', '-o', *words]) == 2 and says in capfd.readouterr().err
    Path('empty').mkdir()
    assert main(['reveal', 'empty', '-o', 'new']) == 2 and 'no picture' in capfd.readouterr().err


def test_standard_input_and_output():
    marked = shell('hide', '-', 'secret.png', '-o', '-', '--promise', 'light', input=Path('in/b.png').read_bytes())
    assert marked.returncode == 0 and Image.open(io.BytesIO(marked.stdout)).size == (320, 240)
    attacked = shell('attack', '-', 'jpeg90', '-o', '-', input=marked.stdout)
    found = shell('reveal', '-', '-o', '-', input=attacked.stdout)
    assert found.returncode == 0 and Image.open(io.BytesIO(found.stdout)).size == (96, 64)
    words = shell('hide', 'in/b.png', '--file', '-', '-o', '-', '--promise', 'light', input=b'some words')
    assert shell('reveal', '-', '-o', '-', input=words.stdout).stdout == b'some words'
    empty = shell('reveal', '-', '-o', 'new', input=b'')
    assert empty.returncode == 2 and empty.stderr.startswith(b'hi3: standard input: ')
    assert empty.stderr.count(b'\n') == 1


@pytest.mark.parametrize('closed', ['<&-', '>&-', '2>&-', '>&- 2>&-', '<&- >&- 2>&-'])
def test_closed_streams(closed):
    command = f'{sys.executable} -m hi3_nb.commands attack in/b.png jpeg70 -o new.png {closed}'
    p = subprocess.run(['bash', '-c', command], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and 'Traceback' not in p.stderr and Image.open('new.png').size == (320, 240), p.stderr


@pytest.mark.slow
@pytest.mark.parametrize('gigabytes', [.3, 1, 2, 3])
def test_little_memory(gigabytes):
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),)*2)
    for words in 'hide in/b.png secret.png -o new.png --promise light', 'compare in/b.png in/b.png':
        p = shell(*words.split(), preexec_fn=limit)
        assert p.returncode == 0 or (p.returncode == 2 and p.stderr.count(b'\n') == 1), p.stderr.decode()


@pytest.mark.parametrize('size', [(1, 1), (5, 3), (1, 400)])
def test_tiny_pictures(size, capfd):
    Image.new('RGB', size, 'red').save('tiny.png')
    assert main(['hide', 'tiny.png', 'secret.png', '-o', 'new.png']) == 2 and 'too small' in capfd.readouterr().err
    assert main(['reveal', 'tiny.png', '-o', 'new']) == 4
    assert main(['attack', 'tiny.png', 'scale0.5+jpeg70', '-o', 'attacked.png']) == 0
    assert main(['info', 'tiny.png']) == 2
    assert main(['hide', 'in/b.png', 'tiny.png', '-o', 'marked.png', '--promise', 'light']) == 0
    assert main(['reveal', 'marked.png', '-o', 'back']) == 0 and Image.open('back/secret1.png').size == size


@pytest.mark.parametrize('name', ['jpeg70.5', 'JPEG75', 'webp1e1', 'jpeg 70', 'jpeg070.25', 'avif50.', 'scale.5'])
def test_attack_names_are_understood_or_refused(name, capfd):
    code = main(['attack', 'in/b.png', name, '-o', 'new.png'])
    assert (code == 0) == (name in ('avif50.', 'scale.5')) and Path('new.png').exists() == (code == 0)


def test_quality_says_where_it_does_nothing(capfd):
    for output, silent in ('new.png', False), ('new.jpg', True):
        assert main(['hide', 'in/b.png', 'secret.png', '-o', output, '--promise', 'light', '--quality', '97']) == 0
        assert ('does nothing' in capfd.readouterr().err) != silent
