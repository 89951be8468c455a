"Recorded weights keep what their record promises, on photographs they never saw, through the real codec."
import csv
import json
from pathlib import Path

import pytest
import torch

from hi3_nb.attacks import attack_batch
from hi3_nb.evaluation import recover
from hi3_nb.images import EXAMPLES, example, psnr, quantise
from hi3_nb.records import file_hash
from hi3_nb.weights import WEIGHTS, about_weights, load_model

CURVE = Path(__file__).parent.parent/'paper'/'results'/'train'/'curve.csv' # of weights that have no record yet
ATTACKS = 'none', 'jpeg90', 'jpeg70', 'scale0.5', 'blur1'
MARGIN = 2.5 # dB: six photographs are not a thousand


FILES = sorted(WEIGHTS.glob('*.safetensors'))
RECORDED = [f for f in FILES if f.with_suffix('.json').exists()]


@pytest.fixture(scope='module', params=FILES, ids=lambda f: f.stem)
def weights(request): return request.param


@pytest.fixture(scope='module')
def hidden(weights):
    model = load_model(weights)
    covers = torch.cat([example(n) for n in EXAMPLES])
    secrets = torch.stack([covers.roll(i + 1, 0) for i in range(model.config.secrets)], 1)
    with torch.inference_mode(): marked = quantise(model.embed(covers, secrets)[1])
    return model, covers, secrets, marked


@pytest.fixture(scope='module')
def record(weights): # or, while the training goes on, the end of its curve
    if weights in RECORDED: return json.loads(weights.with_suffix('.json').read_text())['sets']['val2014']
    with open(CURVE) as f: *_, end = csv.DictReader(f)
    value = lambda name: dict(psnr=float(end[name]))
    return dict(marked=value('marked'), attacks={a: value(a) for a in ATTACKS if a in end})


def test_marked(hidden, record):
    _, covers, _, marked = hidden
    assert psnr(marked, covers).mean() > record['marked']['psnr'] - MARGIN


@pytest.mark.slow # all of them together
@pytest.mark.parametrize('attack', ATTACKS)
def test_recovered(hidden, record, attack):
    if attack not in record['attacks']: pytest.skip('not in the curve')
    model, _, secrets, marked = hidden
    recovered = recover(model, attack_batch(marked, attack, range(len(marked)))[0])
    assert psnr(recovered, secrets).mean() > record['attacks'][attack]['psnr'] - MARGIN


@pytest.mark.parametrize('weights', RECORDED, ids=lambda f: f.stem)
def test_record_is_of_these_weights(weights):
    assert json.loads(weights.with_suffix('.json').read_text())['weights']['hash'] == file_hash(weights)


def test_provenance(weights):
    needed = {'steps', 'images', 'seconds', 'device', 'photographs', 'revision', 'parameters'}
    assert needed <= set(about_weights(weights)['about'])
