"README.md, and the pictures it shows, from the stored outputs of nbs/index.ipynb."
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parent.parent


SHOWN = {'image/png', 'image/jpeg', 'text/markdown', 'text/html'}
TAGS = {'#| echo: false': 'remove-input', '#| export': 'export'}


def for_readers(path:Path)->nbformat.NotebookNode:
    """A notebook with its stored outputs, without hidden cells and directives.
    Cells are tagged `remove-input` (only their output counts) and `export`."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata['language_info'] = {'name': 'python'}
    hidden = re.compile(r"#\| hide|\A#\| default_exp")
    notebook.cells = [c for c in notebook.cells if not hidden.search(c.source)]
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        cell.metadata['tags'] = [tag for directive, tag in TAGS.items() if directive in lines]
        if cell.cell_type == 'code': cell.source = '\n'.join(line for line in lines if not line.startswith('#|'))
        for o in cell.get('outputs', []): # a picture or a table needs no words beside it
            if SHOWN & set(o.get('data', {})): o['data'].pop('text/plain', None)
    return notebook


def main(out:Path):
    notebook = for_readers(ROOT/'nbs'/'index.ipynb')
    for cell in notebook.cells:
        if 'remove-input' in cell.metadata['tags']: cell.metadata['transient'] = {'remove_source': True}
    text, resources = MarkdownExporter(exclude_input_prompt=True).from_notebook_node(
        notebook, resources={'output_files_dir': 'docs/images', 'unique_key': 'index'})
    for name, data in resources['outputs'].items():
        (out/name).parent.mkdir(parents=True, exist_ok=True)
        (out/name).write_bytes(data)
    text = re.sub(r'\n{3,}', '\n\n', re.sub(r'[ \t]+\n', '\n', text)).strip() + '\n'
    (out/'README.md').write_text(re.sub(r'!\[(png|jpeg)\]', '![cover, secret, marked and recovered pictures]', text))


if __name__ == '__main__': main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT))
