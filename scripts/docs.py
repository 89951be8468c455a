"The site in _docs/, from stored outputs, docstrings and committed records. Nothing is executed, nothing is fetched."
import base64
import io
import json
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

from hi3_nb.evaluation import PAPER, figures_of, table
from hi3_nb.figures import curve_figure, quality_figure

NBS = ROOT/'nbs'
ESSAYS = sorted(p.stem for p in NBS.glob('[0-9]*.ipynb') if p.stem != '17_results') # which stands among the pages for use
STAGES = list(dict.fromkeys(re.findall(r'nbs/(pipeline/\w+)\.ipynb', (ROOT/'dvc.yaml').read_text() + (ROOT/'paper'/'dvc.yaml').read_text()))) # in the order in which they run


def toctree(caption:str, pages:list[str], *options)->str:
    return '\n'.join(['```{toctree}', *([f':caption: {caption}'] if caption else []), *options, '', *pages, '```'])


def here(text:str)->str: # links of README and CONTRIBUTING, which live at the root, among the site's pages
    return text.replace('](nbs/pipeline)', '](pipeline/prepare.ipynb)').replace('](nbs/', '](').replace('](CONTRIBUTING.md)', '](contributing.md)')


def is_wide(png:str)->bool: # a row of many pictures: on a telephone it is moved sideways, not shrunk to stamps
    width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
    return width > 2.5*height


def notebooks(stage:Path)->dict[str, str]: # module -> its notebook
    modules = {}
    for name in [*ESSAYS, '17_results', 'index', 'faq', 'demo', *STAGES]:
        if found := re.search(r'#\| default_exp (\w+)', (NBS/f'{name}.ipynb').read_text()): modules[found[1]] = name
        notebook = for_readers(NBS/f'{name}.ipynb')
        for cell in notebook.cells:
            for o in cell.get('outputs', []):
                data = o.get('data', {})
                if 'text/markdown' in data: data['text/markdown'] = here(data['text/markdown']).replace('.ipynb)', '.html)') # links in outputs are left as they are
                if 'image/png' in data and is_wide(data['image/png']) and 'wide' not in cell.metadata['tags']: cell.metadata['tags'].append('wide')
            if cell.cell_type == 'markdown': cell.source = here(cell.source)
            elif all(re.match(r'from |import |$', line) for line in cell.source.splitlines()): cell.metadata['tags'].append('hide-input')
        if name == 'index':
            notebook.cells.append(nbformat.v4.new_markdown_cell('\n\n'.join([
                toctree('Use', ['17_results', 'faq', 'demo', 'command_line', 'records'], ':hidden:'), toctree('Read', ESSAYS, ':hidden:'), toctree('Repeat', STAGES, ':hidden:'),
                toctree('Look up', ['api', 'contributing', 'changelog'], ':hidden:')])))
        (stage/name).parent.mkdir(exist_ok=True)
        nbformat.write(notebook, stage/f'{name}.ipynb')
    return modules


def reference(stage:Path, modules:dict[str, str]):
    (stage/'api').mkdir()
    for m, notebook in modules.items():
        (stage/f'api/{m}.md').write_text(f'# {m}\n\n`hi3_nb.{m}` is explained in [{notebook}](../{notebook}.ipynb).\n\n```{{eval-rst}}\n.. automodule:: hi3_nb.{m}\n   :members:\n```\n')
    (stage/'api.md').write_text('# Reference\n\nEvery public name, from its docstring and the comments beside its parameters. '
                                '`hide`, `reveal` and `Hider` are also to be had from `hi3_nb` itself.\n\n' + toctree('', [f'api/{m}' for m in modules], ':maxdepth: 2'))


def command_line(stage:Path):
    text = subprocess.run([sys.executable, '-m', 'typer', 'hi3_nb.commands', 'utils', 'docs', '--name', 'hi3', '--title', 'Command line'],
                          check=True, capture_output=True, text=True, cwd=ROOT).stdout
    (stage/'command_line.md').write_text(re.sub(r'\x08\n(.*?)\n\n', r'```sh\n\1\n```\n\n', text, flags=re.DOTALL)) # the examples, which the terminal shows as they are


def records(stage:Path):
    text = ['# Records', 'What every file of weights in the package was measured to do, and where it comes from. PSNR in dB / SSIM (Gaussian 11x11, sigma 1.5, range 1), means over pairs of photographs the networks never saw; 8-bit files and real codecs. '
            'The paper does not state its test strengths; its columns stand beside the nearest of ours. Every table and figure on this page is made from the records that come with the weights.']
    for path in sorted((ROOT/'hi3_nb'/'weights').glob('*.json')):
        r = json.loads(path.read_text())
        w, about = r['weights'], r['weights'].get('about', {})
        n = w['config']['secrets']
        text += [f'## {path.stem}: {n} secret{"s" * (n > 1)}', table({'the paper (COCO)': PAPER[n], **{s: figures_of(r, s) for s in r['sets']}})]
        if any('curve' in s for s in r['sets'].values()):
            quality_figure({path.stem: r}).savefig(stage/f'{path.stem}.svg')
            text += [f'![Recovered secrets against JPEG quality](./{path.stem}.svg)']
        facts = {'weights': f'{w["file"]}, SHA-256 {w["hash"]}...', 'measured at revision': r['revision'], 'measured on': r['device'],
                 'libraries': ', '.join(f'{k} {v}' for k, v in r['versions'].items()),
                 **{f'photographs, {s}': f'{v["pairs"]} pairs, SHA-256 {v["data"]}...' for s, v in r['sets'].items()},
                 **{f'training: {k}': about[k] for k in ('photographs', 'images', 'steps', 'seconds', 'device', 'revision', 'note') if about.get(k)}}
        text += ['| | |\n|---|---|\n' + '\n'.join(f'| {k} | {v:,} |' if isinstance(v, (int, float)) else f'| {k} | {v} |' for k, v in facts.items())]
    if (curve := ROOT/'paper/results/train/curve.csv').exists():
        curve_figure(curve).savefig(stage/'curve.svg')
        text += ['## Training', '![PSNR on photographs held back, against training images seen](./curve.svg)', 'The experiments behind each choice are in the [recipe](10_recipe.ipynb).']
    (stage/'records.md').write_text('\n\n'.join(text) + '\n')


def main(out:Path)->int:
    with tempfile.TemporaryDirectory() as d:
        stage = Path(d)/'pages'
        stage.mkdir()
        reference(stage, notebooks(stage))
        command_line(stage)
        records(stage)
        for name in ('CONTRIBUTING', 'CHANGELOG'): (stage/f'{name.lower()}.md').write_text(here((ROOT/f'{name}.md').read_text()))
        for name in ('CITATION.cff', 'LICENSE'): shutil.copy(ROOT/name, stage)
        failed = sphinx(['-q', '-W', '--keep-going', '-c', str(ROOT/'docs'), str(stage), f'{d}/site']) # a warning is an error
        if not failed:
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(f'{d}/site', out, ignore=shutil.ignore_patterns('.*'))
        return failed


if __name__ == '__main__': sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT/'_docs')))
