"A tiny run of training, as a command that the tests may stop, kill or starve."
import os
import subprocess
import sys

import pytest
import yaml

from hi3_nb.data import SetConfig, prepare

TRAIN = dict(steps=30, batch=2, crop=64, warmup=2, validate_every=15, validate_pairs=2, checkpoint_every=2, networks=dict(widths=[8, 12, 16], lattice=2))


class Tiny:
    def __init__(self, folder):
        self.folder, self.env = folder, {**os.environ, 'OMP_NUM_THREADS': '1'}
        prepare(SetConfig('bundled', limit=20), folder/'train.npy', 128)
        (folder/'params.yaml').write_text(yaml.safe_dump(dict(prepare=dict(size=128, validation=.2, sets=dict(train={}, test={})), train=TRAIN)))

    def start(self, out, *changes, launcher=(), command=('-m', 'hi3_nb.training'), env={}, **kw):
        arguments = ['--params', self.folder/'params.yaml', '--data', self.folder, '--out', self.folder/out, *(x for c in changes for x in ('--set', c))]
        return subprocess.Popen(list(map(str, [sys.executable, *launcher, *command, *arguments])),
                                env={**self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)

    def run(self, out, *changes, timeout=300, **kw):
        p = self.start(out, *changes, **kw)
        try: p.out, p.err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.terminate() # not kill: a launcher then takes its workers with it
            p.communicate()
            raise
        return p


@pytest.fixture(scope='session')
def tiny(tmp_path_factory): return Tiny(tmp_path_factory.mktemp('tiny'))
