"""Stored outputs of notebooks: photographs become JPEG, a tenth of the size; widgets, which need a kernel, go:

    python scripts/photographs.py nbs/*.ipynb"""
import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image

COLOURS, BYTES, QUALITY = 5000, 40_000, 88 # more colours and more bytes than these: not a plot


def as_jpeg(png:str)->str|None:
    "The picture, base64-encoded, as JPEG; None for plots and small pictures."
    data = base64.b64decode(png)
    im = Image.open(io.BytesIO(data)).convert('RGB')
    if len(data) < BYTES or im.getcolors(COLOURS) is not None: return None
    out = io.BytesIO()
    im.save(out, 'JPEG', quality=QUALITY, optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def without_widgets(notebook:dict)->bool:
    "Take out the widgets; whether there were any."
    view, found = 'application/vnd.jupyter.widget-view+json', bool(notebook['metadata'].pop('widgets', None))
    for c in notebook['cells']:
        outputs = c.get('outputs', [])
        kept = [o for o in outputs if view not in o.get('data', {})]
        found, outputs[:] = found or len(kept) < len(outputs), kept
    return found


def convert(path:Path)->bool:
    "Rewrite a notebook whose outputs hold photographs as PNG, or widgets; whether there were any."
    notebook = json.loads(path.read_text())
    found = without_widgets(notebook)
    outputs = [o for c in notebook['cells'] for o in c.get('outputs', []) if 'image/png' in o.get('data', {})]
    for o in outputs:
        if jpeg := as_jpeg(''.join(o['data']['image/png'])):
            del o['data']['image/png']
            o['data']['image/jpeg'], found = jpeg, True
    if found: path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + '\n')
    return found


if __name__ == '__main__':
    for name in sys.argv[1:]:
        if convert(Path(name)): print(f'{name}: photographs are JPEG, widgets gone')
