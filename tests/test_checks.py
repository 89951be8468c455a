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
    told = dict(line.rsplit('  ', 1) for line in out.splitlines()[2:])
    told = {k.strip(): v.strip() for k, v in told.items()}
    assert told['jpeg70'] == told['whatsapp twice'] == 'comes back' and set(told.values()) > {'comes back'}


def test_info_of_a_picture(run):
    code, out, err = run('info', 'cover.png')
    assert code == 0 and out.startswith('cover.png: 320x240; nothing is hidden in it; carries about ') and not err
    assert run('hide', 'cover.png', 'secret.png', '-o', 'marked.png')[0] == 0
    found = json.loads(run('info', 'marked.png', '--for', 'telegram', '--json')[1])
    assert found['hidden'] and found['bytes'] > 100 and found['marked_at'] == [320, 240]
    Path('words.txt').write_text('no picture')
    code, out, err = run('info', 'words.txt')
    assert code == 2 and 'not an image' in err


def test_check_needs_no_output(run):
    before = {p.name for p in Path().iterdir()}
    code, out, _ = run('hide', 'cover.png', 'secret.png', '--check')
    assert code == 0 and 'not written' in out and {p.name for p in Path().iterdir()} == before
    Path('marked.png').write_bytes(b'mine') # what is there already is no reason not to try
    assert run('hide', 'cover.png', 'secret.png', '--check', '-o', 'marked.png')[0] == 0
    assert Path('marked.png').read_bytes() == b'mine'


@pytest.mark.parametrize('name, quality, comes', [('a.jpg', 5, False), ('a.webp', 1, False), ('a.jpg', 80, True),
                                                  ('a.webp', 95, True), ('a.tif', None, True)])
def test_what_is_written_can_be_revealed(name, quality, comes, run):
    words = ['--quality', quality] if quality else []
    code, out, err = run('hide', 'cover.png', 'secret.png', '-o', name, *words)
    assert Path(name).exists() == comes
    if not comes:
        assert code == 2 and not out and 'destroys what is hidden' in err
        return
    told = out.splitlines()[1]
    assert code == 0 and told.startswith('secret.png comes back at 120x80, PSNR ')
    assert run('reveal', name, '-o', 'found', '--no-search')[0] == 0
    measured = run('compare', 'secret.png', 'found/secret1.png')[1]
    assert abs(float(told.split()[-2]) - float(measured.split()[1])) < .06


def test_hiding_tells_what_else_it_changes(run):
    page = Image.new('RGB', (640, 480), 'white')
    page.paste(Image.open('cover.png'), (160, 120))
    page.save('page.png')
    code, _, err = run('hide', 'page.png', 'secret.png', '-o', 'marked.png')
    assert code == 0 and 'page.png: its white becomes 252 of 255' in err
    assert 'white' not in run('hide', 'cover.png', 'secret.png', '-o', 'other.png')[2]


def test_info_tells_of_a_password_and_the_size_that_reveal_names(run, monkeypatch):
    monkeypatch.setenv('HI3_PASSWORD', 'sesame')
    assert run('hide', 'cover.png', 'secret.png', '-o', 'locked.png')[0] == 0
    code, out, _ = run('info', 'locked.png')
    assert code == 0 and 'something, under a password, is hidden' in out
    at = json.loads(run('reveal', 'locked.png', '-o', 'found', '--json')[1])['hidden_at']
    assert f'marked at {at[0]}x{at[1]}' in out


def test_names_may_be_capitals_and_folders_take_one_cover(run):
    os.mkdir('marked')
    assert run('hide', 'cover.png', 'secret.png', '-o', 'marked', '--for', 'Telegram')[0] == 0
    code, out, _ = run('reveal', 'marked', '-o', 'found', '--json', '--no-search')
    assert code == 0 and [p['picture'] for p in json.loads(out)['pictures']] == ['marked/cover.png']
    sent = run('attack', 'cover.png', 'telegram', '-o', 'sent.png', '--json')[1]
    assert json.loads(sent)['attack'] == 'fit1280+jpeg87'
    assert 'the same pixels' in run('compare', 'cover.png', 'cover.png')[1]
