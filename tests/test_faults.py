"Training that is killed, stopped, starved of disk or given nonsense."
import json
import os
import pickle
import re
import resource
import shutil
import signal
import time

import pytest
import torch
from conftest import learn
from PIL import Image
from safetensors.torch import load_file

from hi3_nb.commands import main
from hi3_nb.training import OtherRun


@pytest.fixture(scope='module')
def whole(tiny):
    "A run of 30 steps that nothing disturbed."
    p = tiny.run('whole')
    assert p.returncode == 0, p.err
    return tiny.folder/'whole'


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(.02)


def step(folder): return torch.load(folder/'checkpoint.pt', weights_only=True)['step']


def one_line(p, *words):
    "The run failed, and said why in one line."
    assert p.returncode == 2 and len(p.err.splitlines()) == 1 and p.err.startswith('hi3: '), p.err
    assert all(w in p.err for w in words), p.err


@pytest.mark.slow
def test_killed_and_resumed_is_bit_for_bit_the_same(tiny, whole):
    p, killed = tiny.start('killed'), tiny.folder/'killed'
    wait_for(killed/'checkpoint.pt', p)
    p.kill()
    p.communicate()
    assert p.returncode == -signal.SIGKILL and 0 < step(killed) < 30 and not (killed/'model.safetensors').exists()
    again = tiny.run('killed')
    summary = json.loads(again.out.splitlines()[-1])
    assert summary['resumed'] and summary['steps'] == 30, again.err
    a, b = (load_file(k/'model.safetensors') for k in (whole, killed))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_sigterm_ends_with_a_checkpoint_and_a_second_run_is_refused(tiny, capfd):
    p, stopped = tiny.start('stopped', 'train.steps=100000'), tiny.folder/'stopped'
    wait_for(stopped/'checkpoint.pt', p)
    words = '--params', tiny.folder/'params.yaml', '--data', tiny.folder, '--out', stopped
    assert main(['train', *map(str, words)]) == 2
    assert capfd.readouterr() == ('', f'hi3: {stopped}/checkpoint.pt: another run is writing it\n')
    p.terminate()
    out, err = p.communicate(timeout=120)
    summary = json.loads(out.splitlines()[-1])
    assert p.returncode == 0 and summary['ended'] == 'stopped' and step(stopped) == summary['steps'], err


@pytest.mark.slow
def test_full_disk_keeps_the_last_checkpoint(tiny, whole):
    path = shutil.copytree(whole, tiny.folder/'full')/'checkpoint.pt'
    before = path.read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2,)*2) # writing fails half-way
    one_line(tiny.run('full', 'train.steps=32', preexec_fn=limit), str(path))
    assert path.read_bytes() == before and not list(path.parent.glob('*.part'))


@pytest.mark.slow
def test_broken_checkpoint_is_named(tiny, whole):
    path = shutil.copytree(whole, tiny.folder/'broken')/'checkpoint.pt'
    path.write_bytes(path.read_bytes()[:5000])
    one_line(tiny.run('broken'), str(path))


@pytest.fixture(scope='module')
def learned(array, tmp_path_factory):
    "A short run that nothing disturbed."
    learn(array, out := tmp_path_factory.mktemp('learned'))
    return out


class Poison:
    "Unpickled, it would run a command."
    def __init__(self, path): self.path = path
    def __reduce__(self): return os.system, (f'touch {self.path}',)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('kind', ['pickle', 'checkpoint', 'among the weights', 'unknown names', 'no dictionary',
                                  'other weights'])
def test_poisoned_checkpoint_is_refused_and_runs_nothing(kind, learned, tmp_path, array):
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    path, bite = tmp_path/'checkpoint.pt', tmp_path/'bitten'
    good = torch.load(path, weights_only=True)
    bad = {'checkpoint': Poison(bite), 'unknown names': {'config': good['config']}, 'no dictionary': [1, 2],
           'among the weights': {**good, 'model': {**good['model'], 'extra': Poison(bite)}},
           'other weights': {**good, 'model': {**good['model'], 'extra': torch.zeros(1)}}}
    if kind == 'pickle':
        path.write_bytes(pickle.dumps(Poison(bite)))
    else:
        torch.save(bad[kind], path)
    with pytest.raises(OtherRun, match=re.escape(str(path))): learn(array, tmp_path)
    assert not bite.exists()
    if kind in ('pickle', 'checkpoint', 'among the weights'):
        swallow = pickle.load if kind == 'pickle' else lambda f: torch.load(f, weights_only=False)
        with path.open('rb') as f: swallow(f)
        assert bite.exists(), 'the poison works where it is swallowed'


@pytest.mark.parametrize('name', ['evil.safetensors', 'evil.pt'])
def test_weights_that_are_a_pickle_are_refused_and_run_nothing(name, tmp_path, array, capfd):
    path, bite, cover = tmp_path/name, tmp_path/'bitten', tmp_path/'cover.png'
    torch.save(dict(weights=Poison(bite)), path)
    Image.new('RGB', (64, 64)).save(cover)
    for words in (['evaluate', tmp_path, '--weights', path], ['info', path]):
        assert main([str(w) for w in words]) == 2
        out, err = capfd.readouterr()
        assert out == '' and err.count('\n') == 1 and err.startswith(f'hi3: {path}: '), err
    with pytest.raises((ValueError, OSError), match=re.escape(str(path))): learn(array, tmp_path/'run', init=str(path))
    assert not bite.exists()
    torch.load(path.open('rb'), weights_only=False)
    assert bite.exists(), 'the poison works where it is swallowed'


@pytest.mark.parametrize('change, key', [
    ('train.learning_rate=0.1', 'train.learning_rate'), ('train.lr=fast', 'train.lr'),
    ('train.networks.secrets=0', 'networks.secrets'),
    ('train.crop=512', 'train.crop'), ('train.batch=50', 'train.batch')])
def test_bad_configuration_is_named(tiny, change, key, capfd):
    words = '--params', tiny.folder/'params.yaml', '--data', tiny.folder, '--out', tiny.folder/'bad', '--set', change
    assert main(['train', *map(str, words)]) == 2
    out, err = capfd.readouterr()
    assert out == '' and err.startswith('hi3: ') and err.count('\n') == 1 and key in err, err


STAGE = '''
from hi3_nb.stages import load_params, train_stage
import sys
_, _, params, _, data, _, run = sys.argv
c = load_params(params, dict(train=dict(batch=50))).train
train_stage(c, f'{data}/train.npy', run, f'{run}-results', f'{run}-weights', .2)
'''

@pytest.mark.slow
def test_stage_that_cannot_run_leaves_the_checkpoint(tiny, whole):
    shutil.copytree(whole, tiny.folder/'stage')
    for out in ('stage', 'new'): # new: no folder to go on from
        p = tiny.run(out, command=('-c', STAGE))
        assert p.returncode and 'train.batch: 50' in p.err.splitlines()[-1], p.err
    assert step(tiny.folder/'stage') == 30
