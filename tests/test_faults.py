"Training that is killed, stopped, starved of disk or given nonsense."
import json
import resource
import signal
import time

import pytest
import torch
from safetensors.torch import load_file


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(.02)


def same(a, b):
    a, b = load_file(a/'model.safetensors'), load_file(b/'model.safetensors')
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def one_line(p, *words):
    assert p.returncode not in (0, None) and 'Traceback' not in p.err, p.err
    last = p.err.strip().splitlines()[-1]
    assert all(w in last for w in words), p.err


def test_killed_and_resumed_is_bit_for_bit_the_same(tiny):
    assert tiny.run('whole').returncode == 0
    p = tiny.start('killed')
    wait_for(tiny.folder/'killed'/'checkpoint.pt', p)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    assert torch.load(tiny.folder/'killed'/'checkpoint.pt', weights_only=True)['step'] < 30
    assert not (tiny.folder/'killed'/'model.safetensors').exists()
    again = tiny.run('killed')
    assert json.loads(again.out.splitlines()[-1])['resumed'], again.err
    assert same(tiny.folder/'whole', tiny.folder/'killed')


def test_sigterm_ends_with_a_checkpoint(tiny):
    p = tiny.start('stopped', 'train.steps=100000')
    wait_for(tiny.folder/'stopped'/'checkpoint.pt', p)
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=60)
    summary = json.loads(out.splitlines()[-1])
    assert p.returncode == 0 and summary['ended'] == 'stopped', err
    assert torch.load(tiny.folder/'stopped'/'checkpoint.pt', weights_only=True)['step'] == summary['steps']


def test_full_disk_keeps_the_last_checkpoint(tiny):
    assert tiny.run('full', 'train.steps=2').returncode == 0
    path = tiny.folder/'full'/'checkpoint.pt'
    before = path.read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2,)*2)   # writing fails half-way, as on a full disk
    one_line(tiny.run('full', preexec_fn=limit), 'OSError')
    assert path.read_bytes() == before and not list(path.parent.glob('*.part'))


def test_broken_checkpoint_is_named(tiny):
    assert tiny.run('broken', 'train.steps=2').returncode == 0
    path = tiny.folder/'broken'/'checkpoint.pt'
    path.write_bytes(path.read_bytes()[:5000])
    one_line(tiny.run('broken'), 'checkpoint.pt', 'broken')


@pytest.mark.parametrize('change, key', [
    ('train.learning_rate=0.1', 'train.learning_rate'), ('train.lr=fast', 'train.lr'), ('train.networks.secrets=0', 'networks.secrets'),
    ('train.crop=512', 'train.crop'), ('train.batch=50', 'train.batch')])
def test_bad_configuration_is_named(tiny, change, key):
    one_line(tiny.run('bad', change), key)
