"The site: whole, without dead links, readable without a network and on a telephone; and the map of the code, true."
import importlib.util
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from test_layout import TREES, WRITTEN, imports

import hi3_nb
from hi3_nb.evaluation import training_time

ROOT = Path(__file__).parent.parent
FILES = [p for p in sorted((ROOT/'nbs').rglob('*.ipynb')) if '.ipynb_checkpoints' not in p.parts]
NOTEBOOKS = [p.relative_to(ROOT/'nbs').with_suffix('') for p in FILES]
MODULES = sorted(p.stem for p in (ROOT/'hi3_nb').glob('*.py') if p.stem[0] != '_')


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.text = [], [], set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids |= {a[k] for k in ('id', 'name') if a.get(k)}
        if tag == 'a' and a.get('href'): self.links.append(a['href'])
        elif tag != 'a': # what the browser fetches by itself
            self.loads += [a[k] for k in ('src', 'href', 'data', 'poster', 'srcset') if a.get(k)]

    def handle_data(self, data): self.text.append(data)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp('docs')/'site'
    p = subprocess.run([sys.executable, ROOT/'scripts'/'docs.py', out], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    return out


@pytest.fixture(scope='module')
def pages(site): return {p: Page(p) for p in site.rglob('*.html')}


def external(link): return link.startswith(('http:', 'https:', '//'))


def test_nothing_is_missing(site):
    for n in NOTEBOOKS: assert (site/f'{n}.html').exists()
    for m in MODULES: assert f'hi3_nb.{m}.' in (site/'api'/f'{m}.html').read_text()
    assert '<h2>hi3 reveal' in re.sub('</?(code|span)[^>]*>', '', (site/'command_line.html').read_text())
    for module, parameter in dict(inputs='stored', data='validation').items(): # each with the comment beside it
        assert re.search(rf'<strong>{parameter}</strong>( \(.*?\))? – \w+', (site/'api'/f'{module}.html').read_text())


def test_readme_lists_every_notebook():
    links = set(re.findall(r'\]\(nbs/([\w/]+)\.ipynb', (ROOT/'README.md').read_text()))
    assert {str(n) for n in NOTEBOOKS if len(n.parts) == 1} - links == {'index'}


RECORDS = [*(ROOT/'paper'/'results'/'qim').glob('n?.json'), *(ROOT/'paper'/'weights').glob('*.json')]


def test_results_are_the_records(site):
    text = (site/'records.html').read_text()
    assert RECORDS
    for path in RECORDS:
        for s in json.loads(path.read_text())['sets'].values():
            for v in (s['marked'], *s['attacks'].values()): assert f'{v["psnr"]:.2f} / {v["ssim"]:.3f}' in text


def test_links(pages):
    outside, dead = set(), []
    for path, page in pages.items():
        for link in page.links + page.loads:
            if external(link): outside.add(link)
            if external(link) or link.startswith(('data:', 'mailto:')): continue
            url = urlsplit(link)
            target, anchor = (path.parent/unquote(url.path)).resolve() if url.path else path, unquote(url.fragment)
            found = target.exists() and not (anchor and target in pages and anchor not in pages[target].ids)
            if not found: dead.append((path.name, link))
    print(f'{len(outside)} links lead outside:', *sorted(outside), sep='\n')
    assert not dead


def test_no_network(site, pages):
    for path, page in pages.items(): assert not [x for x in page.loads if external(x)], path
    for css in site.rglob('*.css'): assert not re.search(r'(url\(|@import)\s*["\']?(https?:)?//', css.read_text()), css


FORMULA = re.compile(r'\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\s][^$]*?)\$(?!\w)', re.DOTALL)


def prose(notebook):
    cells = json.loads((ROOT/'nbs'/notebook.with_suffix('.ipynb')).read_text())['cells']
    return '\n\n'.join(re.sub('`[^`]*`', '', ''.join(c['source'])) for c in cells if c['cell_type'] == 'markdown')


def page_of(pages, notebook): return next(p for p in pages if str(p).endswith(f'/{notebook}.html')).read_text()


def test_formulas_and_directives(pages):
    text = {p.stem: ''.join(page.text) for p, page in pages.items()}
    text.pop('contributing') # explains them
    for name, t in text.items():
        assert not re.search(r'#\| (hide|export|echo|eval|default_exp)|\$\$|\\(math|frac|text)', t), name
    written = {n for n in NOTEBOOKS if FORMULA.search(prose(n))}
    assert written and {n for n in written if '<math' not in page_of(pages, n)} == set()


@pytest.fixture(scope='module')
def conf():
    spec = importlib.util.spec_from_file_location('conf', ROOT/'docs'/'conf.py')
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


@pytest.mark.parametrize('short, full', [
    (r'\frac12\log_2 x', r'\frac{1}{2}\log_{2} x'), (r'\frac1{2a}', r'\frac{1}{2a}'), (r'\tfrac{a}2', r'\frac{a}{2}'),
    (r'x^12', r'x^{1}2'), (r'\sqrt 8', r'\sqrt{8}'), (r"\mathbf{I}' + x'_2", r'\mathbf{I}^{\prime} + x_{2}^{\prime}')])
def test_tex_takes_one_digit(short, full, conf): # where docutils would take the whole of a number
    assert conf.formula(short) == conf.tex2mathml(full)


def test_an_index_stands_beside_an_accent(conf):
    assert '<munder' not in conf.formula(r'\hat{\mathbf{I}}_S + \hat{I}^2_S')


def test_every_formula_is_understood(conf):
    formulas = [m[1] or m[2] for n in NOTEBOOKS for m in FORMULA.finditer(prose(n))]
    assert formulas
    for f in formulas:
        found = conf.formula(f)
        assert not re.search(r'\\|merror|<mi[^>]*>\*<', found), f
        assert found.count('<mfrac>') == f.count(r'\frac') + f.count(r'\tfrac') + f.count(r'\dfrac'), f


def test_decades(site, pages):
    captions = ['The paper', 'Beyond the paper', 'For use', 'The record', 'Look up']
    sidebar = (site/'index.html').read_text().partition('sidebar-tree')[2].partition('</aside>')[0]
    assert [text for text in re.split('<[^>]+>', sidebar) if text.strip() in captions] == captions
    reference = (site/'api.html').read_text().partition('<article')[2]
    modules = ('inputs', 'images', 'losses', 'imperceptibility', 'figures')
    order = [reference.index('>hide<'), *(reference.index(f'href="api/{m}.html"') for m in modules)]
    assert order == sorted(order)


def test_training_is_told_by_device(site): # of many phases, the last one's device would stand for all
    text = (site/'records.html').read_text()
    for path in RECORDS:
        about = json.loads(path.read_text())['weights']['about']
        assert training_time(about) in text and 'training: device' not in text


SHOWN = """const box = e => [e.scrollWidth, e.clientWidth], all = s => [...document.querySelectorAll(s)]
return {page: document.documentElement.scrollWidth, code: all('.cell_input pre').map(box),
        wrapped: all('.cell_output pre').filter(e => getComputedStyle(e).whiteSpace != 'pre').length,
        pictures: all('article img').map(i => [i.naturalWidth, i.clientWidth])}"""


@pytest.mark.parametrize('width', [400, 1280])
def test_in_a_browser(site, browser, width):
    screen = dict(width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', screen)
    for page in [*NOTEBOOKS, 'records', 'command_line', 'contributing', 'api', 'api/inputs', 'api/networks']:
        url = (site/f'{page}.html').as_uri()
        browser.get(url)
        end, loaded = time.time() + 30, 'return document.URL + document.readyState'
        while time.time() < end and browser.execute_script(loaded) != url + 'complete': time.sleep(.02)
        shown = browser.execute_script(SHOWN)
        assert shown['page'] <= width and not shown['wrapped'], page # what is wider moves in a box of its own
        if width > 1000: assert all(wide <= box for wide, box in shown['code']), page
        pictures = shown['pictures']
        assert all(natural and drawn >= min(natural, 250) for natural, drawn in pictures), (page, pictures)
    assert not browser.get_log('browser') # a file that is missing, a host that is asked for: none can be reached


def test_map_of_the_code():
    text = (ROOT/'CONTRIBUTING.md').read_text()
    row = re.compile(r'^\| `(\w+)` \| \[(\w+)\]\(nbs/\2\.ipynb\) \|.*\|(.*)\|$', re.MULTILINE)
    rows = {m: (n, set(re.findall(r'`(\w+)`', uses))) for m, n, uses in row.findall(text)}
    assert {m: n for m, (n, _) in rows.items()} == WRITTEN
    assert list(rows) == sorted(rows, key=lambda m: WRITTEN[m])
    for m, (_, uses) in rows.items(): assert uses == imports(TREES[m]) - {m}, m
    for path in re.findall(r'^\| `([\w./]+)` \| [^`\[]', text, re.MULTILINE): assert (ROOT/path).exists(), path


def test_one_version():
    version = hi3_nb.__version__
    assert re.search(r'^version = (.*)$', (ROOT/'settings.ini').read_text(), re.MULTILINE)[1] == version
    assert yaml.safe_load((ROOT/'CITATION.cff').read_text())['version'] == version
    assert re.search(r'^## (\S+)', (ROOT/'CHANGELOG.md').read_text(), re.MULTILINE)[1] == version
