"The site: whole, readable without a network, without dead links, and fit for a telephone; and the map of the code, true."
import ast
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

import hi3_nb

ROOT = Path(__file__).parent.parent
NOTEBOOKS = [p.relative_to(ROOT/'nbs').with_suffix('') for p in sorted((ROOT/'nbs').rglob('*.ipynb')) if '.ipynb_checkpoints' not in p.parts]
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
        elif tag != 'a': self.loads += [a[k] for k in ('src', 'href', 'data', 'poster', 'srcset') if a.get(k)] # what the browser fetches by itself

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
    for module, comment in dict(hiding='of any size: they are resized to the cover', configuration='share of the training photographs held back').items():
        assert comment in (site/'api'/f'{module}.html').read_text() # what stands beside a parameter


def test_results_are_the_records(site):
    text = (site/'records.html').read_text()
    for path in (ROOT/'hi3_nb'/'weights').glob('*.json'):
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
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].ids): dead.append((path.name, link))
    print(f'{len(outside)} links lead outside:', *sorted(outside), sep='\n')
    assert not dead


def test_no_network(site, pages):
    for path, page in pages.items(): assert not [x for x in page.loads if external(x)], path
    for css in site.rglob('*.css'): assert not re.search(r'(url\(|@import)\s*["\']?(https?:)?//', css.read_text()), css


def test_formulas_and_directives(pages):
    text = {p.stem: ''.join(page.text) for p, page in pages.items()}
    text.pop('contributing') # explains them
    for name, t in text.items(): assert not re.search(r'#\| (hide|export|echo|eval|default_exp)|\$\$|\\math', t), name
    for path in pages:
        if path.stem in ('02_networks', '03_jpeg', '05_losses'): assert '<math' in path.read_text()


@pytest.mark.parametrize('width', [400, 1280])
def test_in_a_browser(site, browser, width):
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=width, height=900, deviceScaleFactor=1, mobile=width < 500))
    for name in ('index', '00_images', '03_jpeg', '10_recipe', 'faq', '17_results', 'records', 'api/hiding', 'command_line', 'contributing'):
        url = (site/f'{name}.html').as_uri()
        browser.get(url)
        end = time.time() + 30
        while time.time() < end and browser.execute_script('return document.URL + document.readyState') != url + 'complete': time.sleep(.02)
        assert browser.execute_script('return document.documentElement.scrollWidth') <= width, name
        pictures = browser.execute_script('return [...document.querySelectorAll("article img")].map(i => [i.naturalWidth, i.clientWidth])')
        assert all(natural and shown >= min(natural, 250) for natural, shown in pictures), (name, pictures)
    assert not browser.get_log('browser') # a file that is missing, a host that is asked for: none can be reached


def test_map_of_the_code():
    text = (ROOT/'CONTRIBUTING.md').read_text()
    rows = {m: (n, set(re.findall(r'`(\w+)`', uses))) for m, n, uses in re.findall(r'\| `(\w+)` \| \[(\w+)\]\(nbs/\w+\.ipynb\) \|.*\|(.*)\|\n', text)}
    assert sorted(rows) == MODULES
    for m, (notebook, uses) in rows.items():
        assert f'#| default_exp {m}' in (ROOT/'nbs'/f'{notebook}.ipynb').read_text()
        tree = ast.walk(ast.parse((ROOT/'hi3_nb'/f'{m}.py').read_text()))
        imported = {n.module.removeprefix('hi3_nb.') for n in tree if isinstance(n, ast.ImportFrom) and n.module and (n.level or n.module.startswith('hi3_nb.'))}
        assert uses == imported & set(MODULES), m
    for path in re.findall(r'^\| `([\w./]+)` \| [^`\[]', text, re.MULTILINE): assert (ROOT/path).exists(), path


def test_one_version():
    version = hi3_nb.__version__
    assert re.search(r'^version = (.*)$', (ROOT/'settings.ini').read_text(), re.MULTILINE)[1] == version
    assert yaml.safe_load((ROOT/'CITATION.cff').read_text())['version'] == version
    assert re.search(r'^## (\S+)', (ROOT/'CHANGELOG.md').read_text(), re.MULTILINE)[1] == version
