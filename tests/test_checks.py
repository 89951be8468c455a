"Before anything is sent: what will survive, and what a cover can carry."
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from hi3_nb.commands import main
from hi3_nb.distortions import parse_attack
from hi3_nb.images import EXAMPLES, package_file, read_image
from hi3_nb.messengers import MESSENGERS


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name, example, size in ('cover', 'china', (320, 240)), ('secret', 'cat', (120, 80)):
        read_image(package_file(EXAMPLES[example])).resize(size, Image.Resampling.LANCZOS).save(f'{name}.png')
    def run(*words):
        code = main([str(w) for w in words])
        return code, *capfd.readouterr()
    return run


def test_messengers_are_attacks_with_a_source():
    for m in MESSENGERS.values():
        assert m.source and all(parse_attack(c) for c in m.chains()) and len(m.chains()) == 2*len(m.sides)


def test_a_promise_for_a_messenger(run):
    code, out, _ = run('hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--for', 'telegram', '--json')
    assert code == 0 and json.loads(out)['survives'] == list(MESSENGERS['telegram'].chains())
    for words, says in (['--for', 'pigeon'], 'telegram'), (['--for', 'x', '--promise', 'light'], 'one of them'):
        code, _, err = run('hide', 'cover.png', 'secret.png', '-o', 'new.png', *words)
        assert code == 2 and says in err and err.count('\n') == 1 and not Path('new.png').exists()


def test_check_writes_nothing_and_tells_what_survives(run):
    code, out, _ = run('hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--check')
    assert code == 0 and 'not written' in out and not Path('marked.png').exists()
    os.mkdir('covers')
    os.link('cover.png', 'covers/cover.png')
    assert run('hide', 'covers', 'secret.png', '-o', 'new', '--check')[0] == 0 and not Path('new').exists()
    told = dict(line.rsplit('  ', 1) for line in out.splitlines()[1:])
    told = {k.strip(): v.strip() for k, v in told.items()}
    assert told['jpeg70'] == told['whatsapp twice'] == 'comes back' and set(told.values()) > {'comes back'}


def test_info_of_a_picture(run):
    code, out, err = run('info', 'cover.png')
    assert code == 0 and out.startswith('cover.png: 320x240, carries about ') and 'nothing is hidden' in out and not err
    assert run('hide', 'cover.png', 'secret.png', '-o', 'marked.png')[0] == 0
    found = json.loads(run('info', 'marked.png', '--for', 'telegram', '--json')[1])
    assert found['hidden'] and found['bytes'] > 100 and found['marked_at'] == [320, 240]
    Path('words.txt').write_text('no picture')
    code, out, err = run('info', 'words.txt')
    assert code == 2 and 'not an image' in err
