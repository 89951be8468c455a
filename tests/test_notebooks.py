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


@pytest.mark.parametrize('notebook', sorted((ROOT/'nbs').glob('*.ipynb')), ids=lambda p: p.stem)
def test_notebook(notebook):
    passed, _ = run_notebook(notebook, skip_flags=get_config(path=ROOT).tst_flags.split()) # long demonstrations are marked notest
    assert passed


def test_readme_is_generated(tmp_path):
    subprocess.run([sys.executable, ROOT/'scripts'/'readme.py', tmp_path], check=True)
    assert (tmp_path/'README.md').read_text() == (ROOT/'README.md').read_text(), 'run: make readme'


def test_notebooks_are_clean(tmp_path):
    shutil.copytree(ROOT/'nbs', tmp_path/'nbs', ignore=shutil.ignore_patterns('.*'))
    nbdev_clean(str(tmp_path/'nbs'))
    changed = [p.name for p in (tmp_path/'nbs').rglob('*.ipynb') if p.read_text() != (ROOT/p.relative_to(tmp_path)).read_text()]
    assert not changed, 'run: nbdev_clean'
