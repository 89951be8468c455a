"Several processes see together what one would see alone, and stop together."
import json
import socket
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

CONFIGS = Path(__file__).parent.parent/'paper'/'accelerate'


def run_two(tiny, out, *changes, **kw):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    # on CPUs `accelerate launch` starts several processes by MPI, or, told multi_gpu, by torchrun: nothing to install
    return tiny.run(out, *changes, env=dict(ACCELERATE_USE_CPU='true'), launcher=(
        '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2', '--num_machines', '1',
        '--mixed_precision', 'no', '--dynamo_backend', 'no', '--main_process_port', port), **kw)


FLOAT32, FLOAT64 = ('-m', 'hi3_nb.commands', 'train'), (Path(__file__).with_name('double.py'), 'train')


# In float32, sums over two halves round differently: 8e-9 at the 99th percentile; where a gradient is nearly nothing
# Adam makes more of it, 3e-6 at most. Half the batch, were it seen instead of the whole, would move the median weight
# by 1e-4, a full step.
# The paper's networks with discriminators are compared in float64. What they recover is at first nearly constant, and
# InstanceNorm divides it by its deviation, rounding and all: 2e-6 at the 99th percentile in float32, 2e-9 were eps 1
# and not 1e-5. In float64 they agree to 1e-16; 1e-12 leaves room for other sums, and for no difference in kind.
@pytest.mark.slow
@pytest.mark.parametrize('command, method, usual, most', [
    (FLOAT32, ['train.loss.adversarial=0.0'], 1e-7, 2e-5),
    (FLOAT64, ['train.loss.adversarial=0.01'], 1e-12, 1e-12)], ids=['plain', 'discriminators'])
def test_two_processes_agree_with_one(tiny, command, method, usual, most, request):
    names = [f'{k}-{request.node.callspec.id}' for k in ('one', 'two')]
    changes = 'train.steps=4', 'train.lr=1e-4', 'train.ema=0.0', *method
    one, two = tiny.run(names[0], *changes, command=command), run_two(tiny, names[1], *changes, command=command)
    assert one.returncode == two.returncode == 0, one.err + two.err
    assert '"processes": 2' in two.out
    a, b = (load_file(tiny.folder/k/'model.safetensors') for k in names)
    far = torch.cat([(a[k] - b[k]).abs().flatten() for k in a])
    assert far.quantile(.99) < usual and far.max() < most, (far.quantile(.99), far.max())


@pytest.mark.slow
def test_two_processes_run_out_of_time_together(tiny):
    "Each has a clock of its own; one that left the loop alone would leave the other waiting for its gradients."
    never = (f'train.{k}=100000' for k in ('steps', 'checkpoint_every', 'validate_every'))
    two = run_two(tiny, 'time', *never, 'train.max_minutes=0.05', timeout=120)
    assert two.returncode == 0, two.err
    summary = json.loads(two.out.splitlines()[-1])
    assert summary['ended'] == 'out of time'
    assert torch.load(tiny.folder/'time'/'checkpoint.pt', weights_only=True)['step'] == summary['steps']


@pytest.mark.parametrize('name', ['one_gpu', 'many_gpus', 'nodes'])
def test_configurations_are_read(name):
    c = load_config_from_file(str(CONFIGS/f'{name}.yaml'))
    assert c.num_processes % c.num_machines == 0 and 4 % c.num_processes == 0 # the paper's batch can be shared


@pytest.mark.slow
def test_evaluation_does_not_depend_on_processes(tiny):
    few = 'curve=[]', 'curve_pairs=3', 'cw_pairs=0', 'sets=[train]', 'attacks=[none, noise5, crop0.7]'
    changes = [f'evaluate.{k}' for k in ('pairs=10', 'batch=2', *few)] # 5 batches: 2, 2 and 1 for three processes
    assert tiny.run('measured', 'train.steps=2').returncode == 0
    measure = '-m', 'hi3_nb.commands', 'measure', '--weights', tiny.folder/'measured'/'model.safetensors'
    files = []
    for name, count in (('one_gpu', 1), ('many_gpus', 2), ('many_gpus', 3)):
        launch = '-m', 'accelerate.commands.launch', '--config_file', CONFIGS/f'{name}.yaml', '--num_processes', count
        p = tiny.run(f'evaluated-{count}.json', *changes, command=measure, timeout=120,
                     env=dict(ACCELERATE_USE_CPU='true'), launcher=launch)
        assert p.returncode == 0, p.err
        assert p.out.count('| **marked') == 1 # one process tells
        files.append((tiny.folder/f'evaluated-{count}.json').read_text())
    assert files[0] == files[1] == files[2]
