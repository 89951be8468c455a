"Every notebook runs from top to bottom: its assertions are the tests of the package."
import subprocess
import sys
from pathlib import Path

import pytest
from nbdev.test import test_nb as run_notebook

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize('notebook', sorted((ROOT/'nbs').glob('*.ipynb')), ids=lambda p: p.stem)
def test_notebook(notebook):
    passed, _ = run_notebook(notebook)
    assert passed


def test_readme_is_generated(tmp_path):
    subprocess.run([sys.executable, ROOT/'scripts'/'readme.py', tmp_path], check=True)
    assert (tmp_path/'README.md').read_text() == (ROOT/'README.md').read_text(), 'run: make readme'
