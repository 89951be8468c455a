"The site in _docs/, from stored outputs, docstrings and committed records. Nothing is executed, nothing is fetched."
import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image
from readme import ROOT, for_readers
from sphinx.cmd.build import main as sphinx

from hi3_nb.evaluation import PAPER, figures_of, table, training_time
from hi3_nb.figures import curve_figure, quality_figure
from hi3_nb.tables import PUBLISHED, look

NBS = ROOT/'nbs'
DVC = (ROOT/'dvc.yaml').read_text() + (ROOT/'paper'/'dvc.yaml').read_text()
STAGES = list(dict.fromkeys(re.findall(r'nbs/(pipeline/\w+)\.ipynb', DVC))) # in the order in which they run

# A notebook's first digit is its decade; other pages of the same kind stand beside it.
DECADES = {caption: sorted(p.stem for p in NBS.glob(f'{digit}*.ipynb'))
           for digit, caption in enumerate(['The paper', 'Beyond the paper', 'For use', 'The record'])}
NOTEBOOKS = [*sum(DECADES.values(), []), 'index', 'faq', 'demo', *STAGES]
TEXTS = {'CONTRIBUTING.md': 'contributing.md', 'CHANGELOG.md': 'changelog.md',
         'paper/README.md': 'paper.md', 'paper/LOG.md': 'log.md'}
TEXTS = {path: page for path, page in TEXTS.items() if (ROOT/path).exists()}
PAGES = {**TEXTS, **{f'nbs/{n}.ipynb': f'{n}.ipynb' for n in NOTEBOOKS},
         'README.md': 'index.ipynb', 'nbs/pipeline': f'{STAGES[0]}.ipynb'}


def toctree(caption:str, pages:list[str], *options)->str:
    return '\n'.join(['```{toctree}', *([f':caption: {caption}'] if caption else []), *options, '', *pages, '```'])


def here(text:str, stage:Path, folder:str='', page:str='')->str:
    "The links of a text that lives in `folder` of the repository, as they must be on `page` of the site."
    def moved(match):
        path, sharp, anchor = match[0].partition('#')
        path = os.path.normpath(os.path.join(folder, path))
        if (ROOT/path).is_file() and path not in PAGES: # a picture, a list, a licence: it comes along
            (stage/path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT/path, stage/path)
        return os.path.relpath(PAGES.get(path, path), Path(page).parent) + sharp + anchor
    return re.sub(r'(?<=\]\()[\w./-][\w./#-]*(?=\))|(?<= src=")[\w./-]+(?=")', moved, text)


def is_wide(picture:str)->bool: # a row of many pictures: on a telephone it is moved sideways, not shrunk to stamps
    width, height = Image.open(io.BytesIO(base64.b64decode(picture))).size
    return width > 2.5*height


def adapt(cell, stage:Path, folder:str, page:str):
    "A notebook's cell as the site shows it."
    for o in cell.get('outputs', []):
        data = o.get('data', {})
        if 'text/markdown' in data: # links in outputs are left as they are
            data['text/markdown'] = here(data['text/markdown'], stage, folder, page).replace('.ipynb)', '.html)')
        wide = any(is_wide(data[kind]) for kind in ('image/png', 'image/jpeg') if kind in data)
        if wide and 'wide' not in cell.metadata['tags']: cell.metadata['tags'].append('wide')
    if cell.cell_type == 'markdown': cell.source = here(cell.source, stage, folder, page)
    elif all(re.match(r'from |import |[ )]|$', line) for line in cell.source.splitlines()):
        cell.metadata['tags'].append('hide-input')


def shows_nothing(cell)->bool: # a live output, a heading with nothing under it
    if cell.cell_type == 'markdown': return re.fullmatch(r'#+ .*', cell.source.strip()) is not None
    return 'remove-input' in cell.metadata['tags'] and not cell.outputs


def contents()->list[str]: # of the site: the list of pages beside each of them
    paper = [Path(page).stem for path, page in TEXTS.items() if path.startswith('paper/')]
    beside = {'For use': ['faq', 'demo', 'command_line'], 'The record': ['records', *paper, *STAGES]}
    trees = {caption: [*pages, *beside.get(caption, [])] for caption, pages in DECADES.items()}
    trees['Look up'] = ['api', 'contributing', 'changelog']
    return [toctree(caption, pages, ':hidden:') for caption, pages in trees.items() if pages]


def notebooks(stage:Path)->dict[str, str]: # module -> its notebook
    modules = {}
    for name in NOTEBOOKS:
        if found := re.search(r'#\| default_exp (\w+)', (NBS/f'{name}.ipynb').read_text()): modules[found[1]] = name
        notebook = for_readers(NBS/f'{name}.ipynb')
        folder = '' if name == 'index' else str(Path('nbs', name).parent) # README's links start from the root
        for cell in notebook.cells: adapt(cell, stage, folder, name)
        while shows_nothing(notebook.cells[-1]): notebook.cells.pop()
        if name == 'index': notebook.cells.append(nbformat.v4.new_markdown_cell('\n\n'.join(contents())))
        (stage/name).parent.mkdir(exist_ok=True)
        nbformat.write(notebook, stage/f'{name}.ipynb')
    return modules


def told(notebook:str)->str: # its second line, which says what it is about
    return re.search(r'^> (.*)$', nbformat.read(NBS/f'{notebook}.ipynb', 4).cells[0].source, re.MULTILINE)[1]


AUTODOC = '```{{eval-rst}}\n.. automodule:: {}\n   :members:\n```'
FACE = '''# Reference

Every public name, from its docstring and the comments beside its parameters.

## hide and reveal

`from hi3_nb import hide, reveal`; all else is imported from its module.

```{eval-rst}
.. autofunction:: hi3_nb.tool.hide
   :no-index:
.. autofunction:: hi3_nb.tool.reveal
   :no-index:
```'''


def reference(stage:Path, modules:dict[str, str]):
    "Hiding and revealing first, then every module by decade: those for use before those of the paper."
    (stage/'api').mkdir()
    for m, notebook in modules.items():
        text = f'# {m}\n\n{told(notebook)}. Explained in [{notebook}](../{notebook}.ipynb).\n\n'
        (stage/f'api/{m}.md').write_text(text + AUTODOC.format(f'hi3_nb.{m}') + '\n')
    text = [FACE]
    for caption in ('For use', 'The paper', 'Beyond the paper', 'The record'):
        found = [m for m, notebook in modules.items() if notebook in DECADES[caption]]
        if not found: continue
        rows = [f'| [{m}](api/{m}.md) | {told(modules[m])} |' for m in found]
        text += [f'## {caption}', '\n'.join(['| module | what |', '|---|---|', *rows])]
        text += [toctree('', [f'api/{m}' for m in found], ':hidden:')]
    (stage/'api.md').write_text('\n\n'.join(text) + '\n')


def command_line(stage:Path):
    typer = 'typer hi3_nb.commands utils docs --name hi3 --title'.split() + ['Command line']
    text = subprocess.run([sys.executable, '-m', *typer], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    examples = re.compile(r'\x08\n(.*?)\n\n', re.DOTALL) # which the terminal shows as they are
    (stage/'command_line.md').write_text(examples.sub(r'```sh\n\1\n```\n\n', text))


TOLD = ('photographs', 'images', 'steps', 'time', 'revision', 'note') # of what a file of weights keeps


def origin(record:dict)->str:
    "Table of where a record comes from: weights, photographs, training, libraries."
    w, about = record['weights'], record['weights'].get('about', {})
    told = {**about, 'time': training_time(about)}
    facts = {'weights': f'{w["file"]}, SHA-256 {w["hash"]}...', 'measured at revision': record['revision'],
             'measured on': record['device'], 'libraries': ', '.join(f'{k} {v}' for k, v in record['versions'].items()),
             **{f'photographs, {s}': f'{v["pairs"]} pairs, SHA-256 {v["data"]}...' for s, v in record['sets'].items()},
             **{f'training: {k}': told[k] for k in TOLD if told.get(k)}}
    shown = lambda v: f'{v:,}' if isinstance(v, int | float) else v
    return '| | |\n|---|---|\n' + '\n'.join(f'| {k} | {shown(v)} |' for k, v in facts.items())


METHOD = dict(p='hi3', n='hi3_qim') # of weights, by the first letter of their name
RECORDS = '''# Records

What each file of weights achieves, and where it comes from.
PSNR in dB / SSIM (Gaussian 11x11, sigma 1.5, range 1), means over pairs of photographs the networks never saw;
8-bit files and real codecs. The paper does not state its test strengths; its columns stand beside the nearest of ours.
Whose method a figure is of stands above it: HI3 + QIM is not the paper's method.
HI3 + QIM has left the package; its records stay.
Every table and figure on this page is made from committed records.'''


def records(stage:Path):
    text = [RECORDS]
    folders = ROOT/'paper'/'weights', ROOT/'paper'/'results'/'qim'
    for path in sorted(p for folder in folders for p in folder.glob('[np][1-4].json')):
        r = json.loads(path.read_text())
        n, method = r['weights']['config']['secrets'], METHOD[path.stem[0]]
        text += [f'## {path.stem}: {n} secret{"s" * (n > 1)}',
                 table({PUBLISHED: PAPER[n], **{f'{look(method)[0]}, {s}': figures_of(r, s) for s in r['sets']}})]
        if any('curve' in s for s in r['sets'].values()):
            quality_figure({method: r}).savefig(stage/f'{path.stem}.svg')
            text += [f'![Recovered secrets against JPEG quality](./{path.stem}.svg)']
        text += [origin(r)]
    if (curve := ROOT/'paper/results/train/curve.csv').exists():
        curve_figure(curve).savefig(stage/'curve.svg')
        text += ['## Training', '![PSNR on photographs held back, against training images seen](./curve.svg)',
                 'The experiments behind each choice are in the [recipe](31_recipe.ipynb).']
    (stage/'records.md').write_text('\n\n'.join(text) + '\n')


def main(out:Path)->int:
    with tempfile.TemporaryDirectory() as d:
        stage = Path(d)/'pages'
        stage.mkdir()
        reference(stage, notebooks(stage))
        command_line(stage)
        records(stage)
        for path, page in TEXTS.items():
            (stage/page).write_text(here((ROOT/path).read_text(), stage, str(Path(path).parent), page))
        strict = ['-q', '-W', '--keep-going'] # a warning is an error
        failed = sphinx([*strict, '-c', str(ROOT/'docs'), str(stage), f'{d}/site'])
        if not failed:
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(f'{d}/site', out, ignore=shutil.ignore_patterns('.*'))
        return failed


if __name__ == '__main__': sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT/'_docs')))
