"With the base install one hides and reveals; with torch, accelerate and friends one trains. Nothing else is needed."
import subprocess
import sys

import pytest
from PIL import Image

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


TORCHLESS = (*ABSENT, 'torch', 'torchvision', 'accelerate', 'safetensors', 'matplotlib', 'tqdm')
TOOL = f'''
import sys
sys.modules.update(dict.fromkeys({TORCHLESS}))
from hi3_nb.commands import main
sys.exit(main(sys.argv[1:]))
'''


def without_torch(folder, *words):
    p = subprocess.run([sys.executable, '-c', TOOL, *words], cwd=folder, capture_output=True, text=True, timeout=60)
    return p.returncode, p.stderr


@pytest.mark.slow
def test_hides_and_reveals_without_torch(tmp_path):
    for name, radius in dict(cover=1, secret=2).items():
        Image.effect_mandelbrot((320, 256), (-radius, -1, radius, 1), 60).convert('RGB').save(tmp_path/f'{name}.png')
    (tmp_path/'key').write_text('long and known to two')
    for words in ('hide cover.png secret.png -o marked.png --password-file key', 'attack marked.png jpeg90 -o sent.jpg',
                  'info marked.png', 'compare cover.png marked.png', 'reveal sent.jpg -o found --password-file key'):
        code, said = without_torch(tmp_path, *words.split())
        assert code == 0 and all(line.startswith('note: ') for line in said.splitlines()), said
    for words in ('train', 'evaluate .', 'measure --weights w --out o.json', 'info', 'info w'):
        code, said = without_torch(tmp_path, *words.split())
        assert code == 2 and said.count('\n') == 1 and 'pip install "hi3-nb[train]"' in said, said
    for words in 'info missing.jpg', 'info .', 'info key': # a picture that is none has nothing to do with torch
        code, said = without_torch(tmp_path, *words.split())
        assert code == 2 and said.count('\n') == 1 and 'torch' not in said and 'hi3-nb' not in said, said
