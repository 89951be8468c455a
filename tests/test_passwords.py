"Passwords: without the right one there is nothing to see, and the answer says so; damage is another answer."
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from hi3_nb import NeedsPassword, TooDamaged, coded, hide, reveal, revealing
from hi3_nb.commands import main
from hi3_nb.distortions import real_attack
from hi3_nb.images import EXAMPLES, package_file, read_image
from hi3_nb.locks import Lock


@cache
def photo(name, size): return read_image(package_file(EXAMPLES[name])).resize(size, Image.Resampling.LANCZOS)


@cache
def closed(count=1, promise='standard'):
    "A marked picture and what was compressed for it, tier by tier."
    made, compress = [], coded.compress
    with pytest.MonkeyPatch.context() as m:
        m.setattr(coded, 'compress', lambda *a: made.append(compress(*a)) or made[-1])
        words = ['sesame'] if count == 1 else [f'word {i}' for i in range(count)]
        marked = hide(photo('china', (320, 240)), [photo('cat', (160, 120))] * count, promise, password=words)
    return marked, [s.data for secrets in made if secrets for s in secrets]


def messages(marked):
    got, _ = revealing.find(marked)
    header = got.header()
    layout = got.layout(header)
    found = [got.message(layout, tier, getattr(header, tier)) for tier in ('thumbnail', 'picture', 'fine')]
    return [m for m in found if m]


def test_nothing_stands_in_the_clear():
    marked, made = closed(promise='light')
    sent = messages(marked)
    assert len(sent) >= 2
    for message in sent:
        for data in made:
            assert not any(data[i:i + 4] in message for i in range(len(data) - 3))


def test_the_same_secret_twice_gives_unrelated_bytes():
    part = b'the very same secret' * 20
    a, b = (Lock(['sesame']).close([part], 'picture', 500) for _ in 'ab')
    assert sum(x == y for x, y in zip(a, b)) < 20 # of 500; by chance 2
    first = Lock(['sesame'])
    assert first.close([part], 'picture', 500)[16:] != first.close([part], 'fine', 500)[16:]


def test_a_wrong_password_gives_no_picture():
    marked = closed()[0]
    for words in (None, 'Sesame', 'sesame ', 'x'*5000, ['a', 'b', 'c']):
        says = 'needs another' if words else 'needs a '
        with pytest.raises(NeedsPassword, match=says): reveal(marked, password=words)
        assert revealing.reveal(marked).pictures == []
    assert reveal(marked, password='sesame')[0].size == (160, 120)
    assert len(reveal(real_attack(marked, 'jpeg70')[0], password=['no', 'sesame'])) == 1


def test_damage_is_not_a_wrong_password():
    spoilt = real_attack(closed()[0], 'jpeg25')[0]
    for words in None, 'sesame', 'other':
        with pytest.raises(TooDamaged): reveal(spoilt, password=words)


def test_one_for_each():
    marked = closed(3)[0]
    for words, open in (('word 1', 1), (['word 0', 'word 2'], 2), (['word 2', 'word 1', 'word 0'], 3)):
        found = reveal(marked, password=words)
        assert (len(found), found.closed) == (open, 3 - open)


def test_bad_passwords():
    cover, secret = photo('china', (320, 240)), photo('cat', (64, 48))
    for words, says in (('', 'empty'), (['a', ''], 'empty'), (['a', 'b', 'c'], 'one for each')):
        with pytest.raises(ValueError, match=says): hide(cover, [secret]*2, password=words)
    with pytest.raises(ValueError, match='empty'): reveal(cover, password='')


def test_in_a_shell(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    photo('china', (320, 240)).save('cover.png')
    photo('cat', (160, 120)).save('secret.png')
    Path('words').write_text('sesame\n')
    Path('others').write_text('one\ntwo\n')
    def run(*words):
        code = main([*words, '--json'])
        out, err = capfd.readouterr()
        assert 'sesame' not in out + err
        return code, json.loads(out) if out else err
    assert run('hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--password-file', 'words')[1]['password']
    code, found = run('reveal', 'marked.png', '-o', 'found')
    assert code == 5 and found['what'] == 'locked' and not Path('found').exists()
    assert 'needs a password' in found['says']
    code, found = run('reveal', 'marked.png', '-o', 'found', '--password-file', 'others')
    assert code == 5 and 'needs another password' in found['says']
    assert run('reveal', 'marked.png', '-o', 'found', '--password-file', 'words')[0] == 0
    monkeypatch.setenv('HI3_PASSWORD', 'sesame')
    assert run('reveal', 'marked.png', '-o', 'again')[0] == 0
    assert Path('again/secret1.png').read_bytes() == Path('found/secret1.png').read_bytes()
    monkeypatch.delenv('HI3_PASSWORD')
    monkeypatch.setattr('getpass.getpass', lambda *a: 'sesame')
    assert run('reveal', 'marked.png', '-o', 'third', '--password')[0] == 0
    for words, says in (['--password', '--password-file', 'words'], 'one of them'), (['--password-file', 'no'], 'no: '):
        code, err = run('reveal', 'marked.png', '-o', 'new', *words)
        assert code == 2 and says in err and err.count('\n') == 1


def test_a_password_from_the_environment(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    photo('china', (320, 240)).save('cover.png')
    photo('cat', (160, 120)).save('secret.png')
    monkeypatch.setattr('getpass.getpass', lambda *a: pytest.fail('asked'))
    monkeypatch.setenv('HI3_PASSWORD', 'sesame')
    for words, told in ([], True), (['--password'], False): # what nobody asked for is told
        assert main(['hide', 'cover.png', 'secret.png', '-o', 'marked.png', '--force', *words]) == 0
        assert ('locked with the password in HI3_PASSWORD' in capfd.readouterr().err) == told
    Path('words').write_text('sesame\n\n') # editors add lines
    monkeypatch.delenv('HI3_PASSWORD')
    assert main(['reveal', 'marked.png', '-o', 'found', '--password-file', 'words']) == 0


def test_nothing_is_typed_where_it_would_show(tmp_path):
    words = [sys.executable, '-m', 'hi3_nb.commands', 'reveal', 'any.png', '-o', 'new', '--password']
    p = subprocess.run(words, input='sesame\n', capture_output=True, text=True, cwd=tmp_path, start_new_session=True)
    assert p.returncode == 2 and p.stderr.startswith('hi3: --password needs a terminal') and p.stderr.count('\n') == 1
