"A machine with nothing but torch, accelerate and friends can train."
import pytest

ABSENT = ('nbdev', 'fastcore', 'dvc', 'dvclive', 'papermill', 'IPython', 'torchmetrics', 'pandas', 'skimage', 'sklearn',
          'kornia')
TRAIN = f'''
import sys
sys.modules.update(dict.fromkeys({ABSENT})) # None there: cannot be imported
from hi3_nb.commands import main
sys.exit(main(['train', *sys.argv[1:]]))
'''


@pytest.mark.slow
def test_trains_without_notebook_tools(tiny):
    p = tiny.run('bare', 'train.steps=2', command=('-c', TRAIN))
    assert p.returncode == 0 and '"steps": 2' in p.out, p.err
    files = {f.name for f in (tiny.folder/'bare').iterdir()} # and no folder of dvclive
    assert files == {'curve.csv', 'model.safetensors', 'checkpoint.pt'}
