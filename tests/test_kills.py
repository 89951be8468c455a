"""Killed at random moments and started again until they are done, prepare, train, evaluate and download leave what an
undisturbed run leaves, bit for bit. HI3_KILLS=50 kills each of them fifty times."""
import csv
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import sys
import threading
import time

import coco
import pytest
import torch
from conftest import learn
from safetensors.torch import load_file
from test_download import DATA, MD5, SIZE, Server

from hi3_nb import data
from hi3_nb.evaluation import EvaluateConfig
from hi3_nb.hi3 import HI3, save_model
from hi3_nb.networks import NetworkConfig
from hi3_nb.records import write_json
from hi3_nb.stages import evaluate_weights

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get('HI3_KILLS', 2))
processes = multiprocessing.get_context('forkserver') # one process imports torch, and every run is a fork of it
processes.set_forkserver_preload(['hi3_nb.stages', 'torch._dynamo', 'pytest'])


def begin(work, *arguments):
    p = processes.Process(target=work, args=arguments)
    p.start()
    return p


def end(p):
    p.join(120)
    assert p.exitcode == 0


def kill_and_resume(record, work, arguments, look, finished, anew):
    """Run `work` again and again, killing it at random moments, until `KILLS` kills have met it alive; `look` at what
    each of them left. Where it ended before it was killed, what it left must be `finished`, and it begins `anew`;
    so it does in the end, undisturbed."""
    end(begin(os.getpid)) # now torch is imported
    begun = time.monotonic()
    end(begin(work, *arguments))
    length, kills, runs = time.monotonic() - begun, 0, 0
    finished()
    anew()
    while kills < KILLS:
        p = begin(work, *arguments)
        p.join(random.uniform(0, length))
        p.kill()
        p.join()
        if p.exitcode:
            assert p.exitcode == -9
            kills += 1
            look()
        else:
            finished()
            anew()
            runs += 1
    end(begin(work, *arguments))
    finished()
    seconds = round(time.monotonic() - begun)
    told = dict(kills=kills, finished=runs + 1, undisturbed=round(length, 2), seconds=seconds)
    for k, v in told.items(): record(k, v)
    print(f'{work.__name__}: {kills} kills, {runs + 1} times finished; undisturbed {length:.2f} s, in all {seconds} s')


def prepare(path): data.prepare(data.SetConfig('examples', tiles=3), path, 128)


def test_prepare(tmp_path, record_property):
    old, new, now = ([tmp_path/d/f'x.{e}' for e in ('npy', 'csv')] for d in ('old', 'new', 'now'))
    data.prepare(data.SetConfig('examples', limit=3), old[0], 128)
    prepare(new[0])
    read = lambda files: [f.read_bytes() if f.exists() else None for f in files]
    before, after = read(old), read(new)
    rounds = iter(range(10**6))
    def anew(): # every second time over an older set
        shutil.rmtree(now[0].parent, ignore_errors=True)
        if next(rounds) % 2: shutil.copytree(old[0].parent, now[0].parent)
    def look():
        array, index = read(now)
        whole = array is None or [array, index] in (before, after)
        assert whole, 'an array that exists is whole, and belongs to its index'
    def finished(): assert read(now) == after and len(list(now[0].parent.iterdir())) == 2
    kill_and_resume(record_property, prepare, (now[0],), look, finished, anew)


def train(array, out):
    sys.modules['dvclive'] = None # its seconds of start-up would be most of the run
    learn(array, out)


def test_train(array, tmp_path, record_property):
    learn(array, tmp_path/'whole')
    now, steps = tmp_path/'now', [0]
    def rows(folder):
        with (folder/'curve.csv').open() as f:
            return [{k: v for k, v in r.items() if k != 'seconds'} for r in csv.DictReader(f)]
    weights, curve = load_file(tmp_path/'whole'/'model.safetensors'), rows(tmp_path/'whole')
    def anew():
        shutil.rmtree(now)
        steps[:] = [0]
    def look():
        kept = (now/'checkpoint.pt').exists()
        if kept: steps.append(torch.load(now/'checkpoint.pt', weights_only=True)['step'])
        assert steps == sorted(steps) and (steps[-1] or not kept), 'nothing that was kept is lost'
        if (now/'curve.csv').exists(): assert rows(now) == curve[:len(rows(now))]
        if (now/'model.safetensors').exists(): load_file(now/'model.safetensors')
    def finished():
        found = load_file(now/'model.safetensors')
        assert found.keys() == weights.keys() and all(torch.equal(found[k], weights[k]) for k in weights)
        assert rows(now) == curve and not [p for p in now.iterdir() if p.suffix in ('.part', '.lock')]
    kill_and_resume(record_property, train, (array, now), look, finished, anew)


def evaluate_all(array, weights, out):
    c = EvaluateConfig(sets=('test',), pairs=4, attacks=('none', 'jpeg70'), curve=(50,), curve_pairs=2)
    write_json(out, evaluate_weights(weights, {'test': array}, c))


def test_evaluate(array, tmp_path, record_property):
    torch.manual_seed(0)
    save_model(HI3(NetworkConfig(widths=(8, 12, 16))), tmp_path/'a.safetensors')
    evaluate_all(array, tmp_path/'a.safetensors', tmp_path/'whole.json')
    now, result = tmp_path/'now'/'results.json', (tmp_path/'whole.json').read_text()
    def look(): assert not now.exists() or now.read_text() == result
    def finished(): assert now.read_text() == result and json.loads(result)['sets']['test']['pairs'] == 4
    work = array, tmp_path/'a.safetensors', now
    kill_and_resume(record_property, evaluate_all, work, look, finished, lambda: now.unlink())


def fetch(url, path): coco.download(url, path, MD5, SIZE, pause=.01)


def test_download(tmp_path, record_property):
    path, kept = tmp_path/'new'/'a.zip', [0]
    part = path.with_name('a.zip.part')
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(.01,), daemon=True).start()
        server.plan = [dict(cut=200_000, hang=.05)] # and it cuts every connection
        def anew():
            shutil.rmtree(path.parent)
            kept[:] = [0]
        def look():
            assert not path.exists() or path.read_bytes() == DATA
            if part.exists():
                assert DATA.startswith(part.read_bytes())
                kept.append(part.stat().st_size)
                assert kept == sorted(kept), 'nothing that was kept is lost'
        def finished():
            assert hashlib.md5(path.read_bytes()).hexdigest() == MD5 and list(path.parent.iterdir()) == [path]
        kill_and_resume(record_property, fetch, (server.url, path), look, finished, anew)
        server.shutdown()
