"What several tests share: a tiny run of training, as a command that they may stop, kill or starve; a browser."
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from hi3_nb.data import SetConfig, prepare
from hi3_nb.records import build
from hi3_nb.schedule import TrainConfig
from hi3_nb.training import train

if not find_spec('nbdev'): # without the tools of `make env`: the package's own tests (make supported)
    collect_ignore = ['test_notebooks.py', 'test_docs.py', 'test_demo.py', 'test_pipeline.py']

TRAIN = dict(steps=30, batch=2, crop=64, warmup=2, validate_every=15, validate_pairs=2, checkpoint_every=2,
             networks=dict(widths=[8, 12, 16]))
PARAMS = dict(prepare=dict(size=128, validation=.2, sets=dict(train={}, test={})), train=TRAIN)


def pytest_collection_modifyitems(items):
    "Tests that look at the site wait until it is built; those with a browser need one."
    for item in items:
        for fixture, mark in dict(site='slow', browser='browser').items():
            if fixture in item.fixturenames: item.add_marker(mark)


class Tiny:
    def __init__(self, folder):
        self.folder, self.env = folder, {**os.environ, 'OMP_NUM_THREADS': '1'}
        prepare(SetConfig('bundled', limit=20), folder/'train.npy', 128)
        (folder/'params.yaml').write_text(yaml.safe_dump(PARAMS))

    def start(self, out, *changes, launcher=(), command=('-m', 'hi3_nb.commands', 'train'), env=None, **kw):
        arguments = ['--params', self.folder/'params.yaml', '--data', self.folder, '--out', self.folder/out]
        words = [sys.executable, *launcher, *command, *arguments, *(x for c in changes for x in ('--set', c))]
        return subprocess.Popen(list(map(str, words)), env={**self.env, **(env or {})}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

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


FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
         '--window-size=1280,1400', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1') # no network is used


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    webdriver = pytest.importorskip('selenium.webdriver')
    program, driver = shutil.which('chromium') or shutil.which('chromium-browser'), shutil.which('chromedriver')
    if not (program and driver):
        assert not os.environ.get('CI_BROWSER'), 'CI_BROWSER is set, but there is no chromium with chromedriver'
        pytest.skip('no chromium with chromedriver on this machine')
    options = webdriver.ChromeOptions()
    options.binary_location, options.page_load_strategy = program, 'none'
    for f in (*FLAGS, f'--user-data-dir={tmp_path_factory.mktemp("profile")}'): options.add_argument(f)
    d = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield d
    d.quit()


@pytest.fixture(scope='session')
def array(tmp_path_factory):
    "Small photographs for a run of six steps, `learn`."
    path = tmp_path_factory.mktemp('small')/'train.npy'
    prepare(SetConfig('bundled', limit=20), path, 64)
    return path


SMALL = dict(steps=6, batch=1, crop=32, warmup=2, validate_every=3, validate_pairs=1, checkpoint_every=1,
             networks=dict(widths=[8, 12, 16]))

def learn(array, out, **changes): train(build(TrainConfig, {**SMALL, **changes}), array, out, .2, quiet=True)
