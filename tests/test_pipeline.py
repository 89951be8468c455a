"The pipeline in miniature, in a copy of the project: it runs, it does nothing twice, and it fails loudly."
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parent.parent
ENV = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'DVC_NO_ANALYTICS': '1',
       **{f'GIT_{who}_{what}': 'test@example.org' for who in ('AUTHOR', 'COMMITTER') for what in ('NAME', 'EMAIL')}}
TINY = dict(prepare=dict(size=128, validation=.2, sets=dict(train=dict(source='bundled', limit=20), test=dict(source='examples'))),
            train=dict(steps=4, batch=2, crop=64, validate_every=2, validate_pairs=2, networks=dict(widths=[8, 12, 16], lattice=2), loss=dict(adversarial=.01)),
            evaluate=dict(sets=['test'], pairs=4, attacks=['none', 'jpeg70', 'crop0.7'], curve=[50], curve_pairs=2),
            ablate=dict(pairs=2, attacks=['none', 'jpeg70'], common=dict(steps=2), variants=dict(full={}, no_progressive_recovery=dict(networks=dict(progressive=False)))),
            rivals=dict(pairs=2, attacks=['none'], common=dict(steps=2), variants=dict(adh_gan=dict(method='adh_gan', networks=dict(attack='before', backbone='resnet18', widths=[8, 12])))),
            figures=dict(pairs=[['astronaut', 'cat']], attacks=['none', 'jpeg70']))


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp('project')
    for name in ('nbs/pipeline', 'hi3_nb', '.dvc/config', '.dvcignore', 'dvc.yaml', 'data.dvc', '.gitignore'):
        source, target = ROOT/name, copy/name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (copy/'params.yaml').write_text(yaml.safe_dump(TINY))
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-qm', 'miniature']): subprocess.run(['git', *command], cwd=copy, env=ENV, check=True)
    return copy


def dvc(project, *args):
    return subprocess.run(['dvc', *args], cwd=project, env=ENV, capture_output=True, text=True)


def stages_run(text): return {line.split("'")[1] for line in text.splitlines() if line.startswith('Running stage')}


def test_pipeline(project):
    first = dvc(project, 'repro')
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert stages_run(first.stdout) == {'prepare', 'train', 'evaluate', 'ablate@full', 'ablate@no_progressive_recovery', 'rivals@adh_gan', 'figures'}
    results = json.loads((project/'results/evaluate.json').read_text())
    assert {'revision', 'versions', 'device', 'config'} <= set(results) and results['weights']['about']['steps'] == 4
    figures = project/'figures'
    assert 'a grey image' in (figures/'table.md').read_text() and 'full > no progressive recovery' in (figures/'table2.md').read_text()
    drawn = ('pipeline.png', 'methods.jpg', 'residual.jpg', 'quality.png', 'payload.png', 'curve.png', 'astronaut-cat-hide.jpg', 'astronaut-cat-reveal.jpg')
    assert all((figures/f).stat().st_size > 10_000 for f in drawn) and all((figures/f'{t}.md').stat().st_size for t in ('table1', 'table3', 'training'))

    assert not stages_run(dvc(project, 'repro').stdout)                     # nothing changed, nothing runs

    changed = dvc(project, 'exp', 'run', '-S', 'train.steps=5')             # an experiment: train and what follows, not prepare
    assert changed.returncode == 0, changed.stdout[-3000:] + changed.stderr[-3000:]
    assert 'train' in stages_run(changed.stdout) and 'evaluate' in stages_run(changed.stdout) and 'prepare' not in stages_run(changed.stdout)
    assert json.loads((project/'results/evaluate.json').read_text())['weights']['about']['steps'] == 5


def test_quick_pipeline_stands_alone():
    graph = dvc(ROOT, 'dag', 'figures')
    assert graph.returncode == 0 and 'train' in graph.stdout and 'paper/' not in graph.stdout, graph.stdout + graph.stderr


def test_failure_is_loud_and_leaves_its_notebook(project):
    params = project/'params.yaml'
    good = params.read_text()
    params.write_text(good.replace('crop: 64', 'crop: 512'))
    try:
        failed = dvc(project, 'repro', 'train')
        assert failed.returncode != 0
        outputs = [o for c in nbformat.read(project/'executed/train.ipynb', 4).cells for o in c.get('outputs', []) if o.output_type == 'error']
        assert outputs and 'train.crop: 512' in outputs[0].evalue
    finally: params.write_text(good)
