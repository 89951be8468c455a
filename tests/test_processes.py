"Two processes see together what one would see alone."
import socket

import torch
from safetensors.torch import load_file


def test_two_processes_agree_with_one(tiny):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    changes = 'train.steps=4', 'train.lr=1e-4', 'train.ema=0.0', 'train.loss.adversarial=0.0'
    one = tiny.run('one', *changes)
    # on CPUs `accelerate launch` starts several processes by MPI, or, told multi_gpu, by torchrun, which needs nothing installed
    two = tiny.run('two', *changes, env=dict(ACCELERATE_USE_CPU='true'), launcher=(
        '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2', '--num_machines', '1',
        '--mixed_precision', 'no', '--dynamo_backend', 'no', '--main_process_port', port))
    assert one.returncode == two.returncode == 0, one.err + two.err
    assert '"processes": 2' in two.out
    a, b = (load_file(tiny.folder/k/'model.safetensors') for k in ('one', 'two'))
    far = max((a[k] - b[k]).abs().max().item() for k in a)
    # sums over two halves round differently, and Adam may turn a rounding error of a tiny gradient into a good part of a step; four steps of 1e-4 bound it
    close = torch.cat([(a[k] - b[k]).abs().flatten() for k in a])
    assert far < 4e-4 and close.quantile(.99) < 1e-6, (far, close.quantile(.99))
