"Try the wheel in dist/ in an empty environment: what it brings, its commands, a picture hidden and revealed, no torch."
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

wheel, = (Path(__file__).parent.parent/'dist').glob('*.whl')
names = zipfile.ZipFile(wheel).namelist()
folders = {n.split('/')[0] for n in names}
assert folders == {'hi3_nb', '-'.join(wheel.name.split('-')[:2]) + '.dist-info'}, folders # no tests, no notebooks
assert not [n for n in names if n.endswith('.ipynb')]
assert not [n for n in names if n.endswith('.safetensors')]

PICTURES = '''
from PIL import Image
Image.effect_mandelbrot((960, 720), (-2, -1, 1, 1), 60).convert('RGB').save('cover.png')
Image.linear_gradient('L').resize((960, 720)).convert('RGB').save('secret.png')
'''
CHECK = '''
from pathlib import Path
from PIL import Image, ImageChops, ImageStat
file, = Path('found').iterdir()
found, secret = Image.open(file), Image.open('secret.png').convert('RGB')
error = sum(ImageStat.Stat(ImageChops.difference(found, secret)).mean) / 3
grey = sum(ImageStat.Stat(ImageChops.difference(Image.new('RGB', secret.size, (128,)*3), secret)).mean) / 3
assert found.size == secret.size and error < grey/2, (error, grey)
print(f'revealed: mean error {error:.1f} of 255 (a grey picture: {grey:.1f})')
'''
IMPORT = 'import time; t = time.perf_counter(); import {}; print(f"import {}: {{time.perf_counter() - t:.2f}} s")'

MEGABYTES = 150 # on disk, of what `pip install` brings

with tempfile.TemporaryDirectory() as d:
    env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    def run(*command, code=0):
        p = subprocess.run(list(map(str, command)), cwd=d, env=env, capture_output=True, text=True)
        assert p.returncode == code, f'{command}\n{p.stdout}{p.stderr}'
        return p.stdout if code == 0 else p.stderr
    def timed(what, *command):
        start = time.perf_counter()
        run(*command)
        print(f'{what}: {time.perf_counter() - start:.2f} s')
    uv, python, hi3 = Path(sys.executable).with_name('uv'), Path(d)/'venv/bin/python', Path(d)/'venv/bin/hi3'
    run(uv, 'venv', '--python', sys.executable, 'venv')
    size = lambda: sum(f.lstat().st_size for f in (Path(d)/'venv').rglob('*')) / 1e6
    print(f'{wheel.name}: {wheel.stat().st_size/1e6:.1f} MB, {len(names)} files')
    timed('install', uv, 'pip', 'install', '--compile-bytecode', '--python', python, wheel)
    print(f'on disk: {size():.0f} MB')
    assert size() < MEGABYTES and 'torch' not in run(uv, 'pip', 'list', '--python', python)
    assert 'reveal' in run(hi3, '--help')
    run(python, '-c', PICTURES)
    timed('hide', hi3, 'hide', 'cover.png', 'secret.png', '-o', 'marked.png')
    timed('attack', hi3, 'attack', 'marked.png', 'scale0.75+jpeg80', '-o', 'received.png')
    timed('reveal', hi3, 'reveal', 'received.png', '-o', 'found')
    for words in ('train', '--params', 'p.yaml'), ('evaluate', '.'), ('info',):
        said = run(hi3, *words, code=2)
        assert said.count('\n') == 1 and 'pip install "hi3-nb[train]"' in said, said
    imports = [run(python, '-c', IMPORT.format(m, m)) for m in ('hi3_nb', 'hi3_nb.tool')]
    print(run(python, '-c', CHECK), *imports, sep='', end='')
