"README.md, and the pictures it shows, from the stored outputs of nbs/index.ipynb."
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parent.parent
out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT)

notebook = nbformat.read(ROOT/'nbs'/'index.ipynb', as_version=4)
notebook.metadata['language_info'] = {'name': 'python'}
notebook.cells = [c for c in notebook.cells if '#| hide' not in c.source]
for cell in notebook.cells:
    lines = cell.source.splitlines()
    if '#| echo: false' in lines: cell.metadata['transient'] = {'remove_source': True}
    cell.source = '\n'.join(line for line in lines if not line.startswith('#|'))
    for o in cell.get('outputs', []): # a picture or a table needs no words beside it
        if {'image/png', 'text/markdown'} & set(o.get('data', {})): o['data'].pop('text/plain', None)

text, resources = MarkdownExporter(exclude_input_prompt=True).from_notebook_node(
    notebook, resources={'output_files_dir': 'docs/images', 'unique_key': 'index'})
for name, data in resources['outputs'].items():
    (out/name).parent.mkdir(parents=True, exist_ok=True)
    (out/name).write_bytes(data)
text = re.sub(r'\n{3,}', '\n\n', re.sub(r'[ \t]+\n', '\n', text)).replace('![png]', '![cover, secret, marked and recovered pictures]')
(out/'README.md').write_text(text.strip() + '\n')
