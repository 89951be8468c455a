"The weights that come with the package keep what their record says, on photographs they never saw, through the real codec."
import json

import pytest
import torch

from hi3_nb.attacks import attack_batch
from hi3_nb.evaluation import file_hash, recover
from hi3_nb.images import EXAMPLES, example, psnr, quantise
from hi3_nb.networks import WEIGHTS, about_weights, load_model

MARGIN = 2.5 # dB: six photographs are not a thousand


@pytest.fixture(scope='module', params=sorted(p.stem for p in WEIGHTS.glob('*.safetensors')))
def name(request): return request.param


@pytest.fixture(scope='module')
def hidden(name):
    model = load_model(name)
    covers = torch.cat([example(n) for n in EXAMPLES])
    secrets = torch.stack([covers.roll(i + 1, 0) for i in range(model.config.secrets)], 1)
    with torch.inference_mode(): marked = quantise(model.embed(covers, secrets)[1])
    return model, covers, secrets, marked


@pytest.fixture(scope='module')
def record(name): return json.loads((WEIGHTS/f'{name}.json').read_text())['sets']['val2014']


def test_marked(hidden, record):
    _, covers, _, marked = hidden
    assert psnr(marked, covers).mean() > record['marked']['psnr'] - MARGIN


@pytest.mark.parametrize('attack', ['none', 'jpeg90', 'jpeg70', 'scale0.5', 'blur1'])
def test_recovered(hidden, record, attack):
    model, _, secrets, marked = hidden
    recovered = recover(model, attack_batch(marked, attack, range(len(marked)))[0])
    assert psnr(recovered, secrets).mean() > record['attacks'][attack]['psnr'] - MARGIN


def test_record_is_of_these_weights(name):
    assert json.loads((WEIGHTS/f'{name}.json').read_text())['weights']['hash'] == file_hash(WEIGHTS/f'{name}.safetensors')


def test_provenance(name):
    assert {'steps', 'images', 'seconds', 'device', 'photographs', 'revision', 'parameters'} <= set(about_weights(name)['about'])
