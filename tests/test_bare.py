"A machine with nothing but torch, accelerate and friends can train."
import subprocess
import sys

ABSENT = ('nbdev', 'fastcore', 'dvc', 'dvclive', 'papermill', 'IPython', 'torchmetrics', 'pandas', 'skimage', 'sklearn', 'kornia')


def test_trains_without_notebook_tools(tiny):
    arguments = list(map(str, tiny.arguments('bare', 'train.steps=2')))
    script = f'import sys; sys.modules.update(dict.fromkeys({ABSENT!r})); from hi3_nb.training import main; main({arguments!r})'
    p = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert p.returncode == 0 and '"steps": 2' in p.stdout, p.stderr
    assert (tiny.folder/'bare'/'curve.csv').exists() and (tiny.folder/'bare'/'model.safetensors').exists()
