"Every notebook runs from top to bottom: its assertions are the tests of the package."
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.test import test_nb as run_notebook

ROOT = Path(__file__).parent.parent


SLOW = {'03_jpeg', '09_training', '13_code', '16_photographs', '17_baselines', '18_adversary',
        '19_detection', '25_benchmarks', '30_figures', '32_results', 'demo', 'faq', 'index'}
NOTEBOOKS = [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else [])
             for p in sorted((ROOT/'nbs').glob('*.ipynb'))]


@pytest.mark.parametrize('notebook', NOTEBOOKS)
def test_notebook(notebook):
    skipped = get_config(path=ROOT).tst_flags.split() # long demonstrations are marked notest
    passed, _ = run_notebook(notebook, skip_flags=skipped)
    assert passed


def test_package_is_exported(tmp_path):
    unneeded = shutil.ignore_patterns('.*', 'weights', '__pycache__')
    for folder in ('nbs', 'hi3_nb'): shutil.copytree(ROOT/folder, tmp_path/folder, ignore=unneeded)
    shutil.copy(ROOT/'settings.ini', tmp_path)
    subprocess.run([Path(sys.executable).with_name('nbdev_export')], cwd=tmp_path, check=True)
    exported, kept = ({p.name: p.read_text() for p in (root/'hi3_nb').glob('*.py')} for root in (tmp_path, ROOT))
    assert not [n for n in exported | kept if exported.get(n) != kept.get(n)], 'run: nbdev_export'


def test_readme_is_generated(tmp_path):
    subprocess.run([sys.executable, ROOT/'scripts'/'readme.py', tmp_path], check=True)
    assert (tmp_path/'README.md').read_text() == (ROOT/'README.md').read_text(), 'run: make readme'


def test_notebooks_are_clean(tmp_path):
    shutil.copytree(ROOT/'nbs', tmp_path/'nbs', ignore=shutil.ignore_patterns('.*'))
    nbdev_clean(str(tmp_path/'nbs'))
    copies = [(p, ROOT/p.relative_to(tmp_path)) for p in (tmp_path/'nbs').rglob('*.ipynb')]
    assert not [p.name for p, kept in copies if p.read_text() != kept.read_text()], 'run: nbdev_clean'
