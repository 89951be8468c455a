"A method of one's own lives outside the package: a module beside one's parameters, named `mine:Mine` in train.method."
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
MODULE = '''
from dataclasses import dataclass

import torch
import torch.nn as nn
from hi3_nb.hi3 import Method


@dataclass
class MineConfig:
    secrets: int = 1
    width: int = 8


class Mine(Method):
    "A convolution hides, another finds."
    name, Config = 'mine', MineConfig

    def __init__(self, config=MineConfig()):
        super().__init__(config)
        n, w = config.secrets, config.width
        self.hide = nn.Sequential(nn.Conv2d(3*n + 3, w, 3, padding=1), nn.SiLU(), nn.Conv2d(w, 3, 3, padding=1))
        self.find = nn.Sequential(nn.Conv2d(3, w, 3, padding=1), nn.SiLU(), nn.Conv2d(w, 3*n, 3, padding=1))

    def embed(self, cover, secrets, strength=1.):
        self.check(secrets)
        residual = self.hide(torch.cat([cover, *secrets.unbind(1)], 1))
        return residual, cover + residual * (.1*strength)

    def recover(self, attacked): return self.find(attacked).unflatten(1, (-1, 3))
'''
PARAMS = dict(
    prepare=dict(size=128, validation=.2, sets=dict(train={}, test={})),
    train=dict(method='mine:Mine', steps=3, batch=2, crop=64, validate_every=3, validate_pairs=2,
               networks=dict(width=4), loss=dict(adversarial=0.)),
    evaluate=dict(sets=['train'], pairs=2, attacks=['none', 'jpeg70'], curve=[], curve_pairs=2))
MEASURE = '''
import mine
from hi3_nb.stages import evaluate_weights, load_params
record = evaluate_weights('run/model.safetensors', dict(train='train.npy'), load_params().evaluate)
print(record['weights']['method'], record['weights']['config'], *record['sets']['train']['attacks'])
'''
STAGES = '''
stages:
  train:
    cmd: papermill {notebooks}/train.ipynb train.ipynb -p data train.npy
    deps: [mine.py, train.npy]
    params: [train]
    outs: [results/train]
  evaluate:
    cmd: papermill {notebooks}/evaluate.ipynb evaluate.ipynb -p data .
    deps: [mine.py, results/train]
    params: [evaluate]
    outs: [results/evaluate.json]
    metrics:
      - results/metrics.json: {{cache: false}}
'''
ENV = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'DVC_NO_ANALYTICS': '1',
       'PYTHONPATH': f'{ROOT}:{os.environ.get("PYTHONPATH", "")}', 'MPLBACKEND': 'agg',
       **{f'GIT_{who}_{what}': 'test@example.org' for who in ('AUTHOR', 'COMMITTER') for what in ('NAME', 'EMAIL')}}


@pytest.fixture
def folder(tiny, tmp_path):
    for name in ('train.npy', 'train.csv'): (tmp_path/name).symlink_to(tiny.folder/name)
    (tmp_path/'params.yaml').write_text(yaml.safe_dump(PARAMS))
    (tmp_path/'mine.py').write_text(MODULE)
    return tmp_path


def run(folder, *command): return subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True)


@pytest.mark.slow
def test_it_is_trained_and_measured(folder):
    trained = run(folder, sys.executable, '-m', 'hi3_nb.commands', 'train', '--data', '.', '--out', 'run')
    assert trained.returncode == 0 and json.loads(trained.stdout.splitlines()[-1])['steps'] == 3, trained.stderr
    measured = run(folder, sys.executable, '-c', MEASURE)
    assert measured.stdout.strip() == "mine {'secrets': 1, 'width': 4} none jpeg70", measured.stderr

    not_imported = MEASURE.replace('import mine', '').replace('load_params().evaluate', '')
    unknown = run(folder, sys.executable, '-c', not_imported)
    assert unknown.returncode and 'mine: no such method' in unknown.stderr.splitlines()[-1]
    absent = run(folder, sys.executable, '-m', 'hi3_nb.commands', 'train', '--set', 'train.method=his:His')
    assert absent.returncode == 2 and absent.stderr.startswith('hi3: train.method: his:His: no such method')


@pytest.mark.slow
def test_it_runs_in_stages(folder):
    for tool in ('dvc', 'papermill'): pytest.importorskip(tool)
    (folder/'dvc.yaml').write_text(STAGES.format(notebooks=ROOT/'nbs/pipeline'))
    for command in ('git init -q', 'dvc init -q', 'git commit -qm begun'):
        assert run(folder, *command.split()).returncode == 0
    ran = run(folder, 'dvc', 'repro')
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    record = json.loads((folder/'results/evaluate.json').read_text())
    assert record['weights']['method'] == 'mine' and set(record['sets']['train']['attacks']) == {'none', 'jpeg70'}
    assert set(json.loads((folder/'results/metrics.json').read_text())) == {'marked', 'ssim', 'none', 'jpeg70'}
    (folder/'mine.py').write_text(MODULE + '# changed\n')
    assert set(json.loads(run(folder, 'dvc', 'status', '--json').stdout)) == {'train', 'evaluate'}
