"The pipeline in miniature, in a copy of the project: what runs, what need not, what can be compared, how it fails."
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from deps import PIPELINES, Closure, rewritten
from dvc.utils.hydra import apply_overrides

from hi3_nb.stages import VARIED, load_params

ROOT = Path(__file__).parent.parent
ENV = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'DVC_NO_ANALYTICS': '1',
       **{f'GIT_{who}_{what}': 'test@example.org' for who in ('AUTHOR', 'COMMITTER') for what in ('NAME', 'EMAIL')}}
TRAIN = dict(method='hi3', objective='held', steps=4, batch=2, crop=64, warmup=2, validate_every=2, validate_pairs=2,
             networks=dict(widths=[8, 12, 16]), loss=dict(adversarial=.01, target_psnr=30., ease=2.))
VARIANTS = dict(pairs=2, attacks=['none', 'jpeg70'], common={**TRAIN, 'steps': 2})
ADH_GAN = dict(method='adh_gan', networks=dict(attack='before', backbone='resnet18', widths=[8, 12]))
TINY = dict(
    prepare=dict(size=128, validation=.2, sets=dict(train=dict(source='bundled', path='requirements.txt', limit=20),
                                                    test=dict(source='examples', path='requirements.txt'))),
    train=TRAIN,
    evaluate=dict(sets=['test'], pairs=4, attacks=['none', 'jpeg70', 'crop0.7'], curve=[50], curve_pairs=2,
                  detector_pairs=1),
    detect=dict(train_pairs=6, pairs=2, epochs=1),
    ablate=dict(VARIANTS, variants=dict(full={}, no_progressive_recovery=dict(networks=dict(progressive=False)))),
    baselines=dict(VARIANTS, variants=dict(adh_gan=ADH_GAN)),
    figures=dict(pairs=[['astronaut', 'cat']], attacks=['none', 'jpeg70']))
METRICS = ['marked', 'ssim', 'none', 'jpeg70']
COPIED = ('nbs/pipeline', 'hi3_nb', '.dvc/config', '.dvc/.gitignore', '.dvcignore', 'dvc.yaml', 'data.dvc',
          '.gitignore', 'requirements.txt', 'paper/dvc.yaml', 'paper/params.yaml', 'paper/.dvc/config',
          'paper/results/qim')


def run(folder, *command):
    p = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True)
    assert p.returncode == 0, p.stdout[-3000:] + p.stderr[-3000:]
    return p.stdout


def changed(folder, *stages): return set(json.loads(run(folder, 'dvc', 'status', '--json', *stages))) - {'data.dvc'}


def stages_run(text): return {line.split("'")[1] for line in text.splitlines() if line.startswith('Running stage')}


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    "A clone as `make env` leaves it, with a recorded run of an earlier day: metrics, and no lock to speak of."
    copy = tmp_path_factory.mktemp('project')
    for name in COPIED:
        source, target = ROOT/name, copy/name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    params = json.loads(json.dumps(TINY)) # no part of it twice, so without YAML's anchors
    (copy/'params.yaml').write_text(yaml.safe_dump(params, sort_keys=False))
    (copy/'dvc.lock').write_text("schema: '2.0'\nstages: {}\n")
    (copy/'results').mkdir()
    (copy/'results/metrics.json').write_text(json.dumps(dict.fromkeys(METRICS, 1.5)))
    run(copy, 'git', 'init', '-q', '-b', 'main')
    run(copy, 'git', 'add', '-A')
    run(copy, 'git', 'commit', '-qm', 'miniature')
    run(copy, 'git', 'update-index', '--skip-worktree', 'dvc.lock', 'results/metrics.json')
    return copy


@pytest.fixture(scope='module')
def repro(project): return run(project, 'dvc', 'repro')


@pytest.fixture(scope='module')
def experiment(project, repro): return run(project, 'dvc', 'exp', 'run', '-S', 'train.steps=5')


@pytest.mark.slow
def test_every_stage_runs(project, repro):
    assert stages_run(repro) == {'prepare@train', 'prepare@test', 'train', 'evaluate', 'ablate@full',
                                 'ablate@no_progressive_recovery', 'baselines@adh_gan', 'figures'}
    results = json.loads((project/'results/evaluate.json').read_text())
    assert {'revision', 'versions', 'device', 'config'} <= set(results)
    assert results['weights']['about']['steps'] == 4
    figures = project/'figures'
    assert 'a grey image' in (figures/'table.md').read_text()
    assert 'full > no progressive recovery' in (figures/'table2.md').read_text()
    drawn = ('pipeline.png', 'methods.jpg', 'residual.jpg', 'quality.png', 'payload.png', 'curve.png',
             'astronaut-cat-hide.jpg', 'astronaut-cat-reveal.jpg')
    assert all((figures/f).stat().st_size > 10_000 for f in drawn)
    assert all((figures/f'{t}.md').stat().st_size for t in ('table1', 'table3', 'training'))


@pytest.mark.slow
def test_nothing_runs_twice(project, repro):
    assert not stages_run(run(project, 'dvc', 'repro')) and not changed(project)
    assert not run(project, 'git', 'status', '--short')


@pytest.mark.slow
@pytest.mark.parametrize('module, stages', [
    ('images', {'prepare@train', 'prepare@test', 'train', 'evaluate', 'ablate@full', 'ablate@no_progressive_recovery',
                'baselines@adh_gan', 'figures'}),
    ('training', {'train', 'ablate@full', 'ablate@no_progressive_recovery', 'baselines@adh_gan'}),
    ('figures', {'figures'}), ('commands', set())])
def test_a_module_concerns_the_stages_that_use_it(project, repro, module, stages):
    path = project/f'hi3_nb/{module}.py'
    before = path.read_text()
    path.write_text(before + '# changed\n')
    try: assert changed(project) == stages
    finally: path.write_text(before)


@pytest.mark.slow
def test_a_photograph_added_to_a_folder_is_seen(project, repro, tmp_path):
    for name in ('hide', 'reveal'): shutil.copy(project/f'figures/astronaut-cat-{name}.jpg', tmp_path)
    params = project/'params.yaml'
    before = params.read_text()
    apply_overrides(params, ['prepare.sets.test.source=folder', f'prepare.sets.test.path={tmp_path}'])
    try:
        assert stages_run(run(project, 'dvc', 'repro', 'prepare@test')) == {'prepare@test'}
        assert not changed(project, 'prepare@test')
        shutil.copy(project/'figures/methods.jpg', tmp_path)
        assert changed(project, 'prepare@test') == {'prepare@test'}
        shutil.rmtree(tmp_path)
        failed = subprocess.run(['dvc', 'repro', 'prepare@test'], cwd=project, env=ENV, capture_output=True, text=True)
        assert failed.returncode and str(tmp_path) in failed.stderr.splitlines()[-1]
    finally:
        params.write_text(before)
        run(project, 'dvc', 'repro', 'prepare@test')


@pytest.mark.slow
def test_an_experiment_runs_what_depends_on_it(project, experiment):
    assert stages_run(experiment) == {'train', 'evaluate', 'figures'}
    assert json.loads((project/'results/evaluate.json').read_text())['weights']['about']['steps'] == 5
    assert run(project, 'git', 'status', '--short').split() == [
        'M', 'dvc.lock', 'M', 'params.yaml', 'M', 'results/metrics.json']
    assert run(project, 'git', 'diff', '--numstat', 'params.yaml').split()[:2] == ['1', '1']


@pytest.mark.slow
def test_experiments_can_be_compared(project, experiment):
    head, workspace, main, ours = csv.reader(run(project, 'dvc', 'exp', 'show', '--csv').splitlines())
    assert head[5:9] == METRICS and len(head) < 150 and '!' not in main + ours
    assert [h for h in head if 'paper/' in h] == ['paper/results/qim'] # a dependency: the records beside this run's
    assert main[5:9] == ['1.5']*4 and ours[5:9] == workspace[5:9] != main[5:9]
    make = next(line for line in (ROOT/'Makefile').read_text().splitlines() if line.startswith('\tdvc exp show'))
    narrow = run(project, 'sh', '-c', f'{make.strip()} --csv').splitlines()[0].split(',')
    assert narrow == ['Experiment', 'rev', 'typ', 'Created', *METRICS, 'train.steps']
    compared = json.loads(run(project, 'dvc', 'exp', 'diff', '--json'))
    assert {f: set(d) for f, d in compared['metrics'].items()} == {'results/metrics.json': set(METRICS)}
    assert compared['params'] == {'params.yaml': {'train.steps': {'old': 4, 'new': 5, 'diff': 1}}}


@pytest.mark.slow
def test_failure_is_loud_and_leaves_its_notebook(project, experiment):
    params = project/'params.yaml'
    good = params.read_text()
    params.write_text(good.replace('crop: 64', 'crop: 512', 1))
    try:
        failed = subprocess.run(['dvc', 'repro', 'train'], cwd=project, env=ENV, capture_output=True)
        assert failed.returncode != 0
        cells = nbformat.read(project/'executed/train.ipynb', 4).cells
        outputs = [o for c in cells for o in c.get('outputs', []) if o.output_type == 'error']
        assert outputs and 'train.crop: 512' in outputs[0].evalue
    finally: params.write_text(good)


@pytest.mark.slow
def test_the_two_pipelines_stand_apart():
    here, paper = (run(folder, 'dvc', 'stage', 'list', '--name-only').split() for folder in (ROOT, ROOT/'paper'))
    assert {'train', 'figures'} <= set(here) and not any('groups' in s for s in here)
    assert {'prepare@ade256', 'train', 'evaluate', 'detect', 'ablate@full', 'baselines@udh', 'groups@p4',
            'evaluate_groups@p2', 'figures'} <= set(paper)


@pytest.mark.parametrize('pipeline', PIPELINES)
def test_dependencies_are_those_of_the_code(pipeline): # if not: python scripts/deps.py
    assert rewritten(pipeline) == (ROOT/pipeline).read_text()


PACKAGE = dict(a='X = 1\ndef f(): return X\ndef g(): return 2',
               b='from .a import f\nfrom .c import h\ndef k(h): return f()\ndef l(): return h()',
               c='import hi3_nb.d\nREGISTRY = {}\nclass Base: pass\ndef h(): return REGISTRY',
               d='from .c import Base\nfrom .e import x\nclass Mine(Base): y = x',
               e='from .a import f, g\nx, z = g(), 3\ndef late():\n    from .b import l\n    return l',
               stages='from .a import f\ndef load_params(): return f()\ndef train(): return load_params()')


@pytest.mark.parametrize('code, modules', [
    ('from hi3_nb.a import f', 'a'),
    ('from hi3_nb.b import k', 'a b'),              # its argument h is not the h that b imports
    ('from hi3_nb.b import l', 'a b c d e'),        # what c imports for its registry counts as a whole
    ('import hi3_nb.e', 'a b c d e'),               # whole modules, with what their functions import
    ('from hi3_nb.e import z', 'a e'),
    ('def later():\n    from hi3_nb.a import f', 'a'),
    ('from hi3_nb.stages import train', 'stages'),  # parameters are followed by dvc
    ('import numpy', '')])
def test_code_is_followed_by_name(tmp_path, code, modules):
    for name, source in PACKAGE.items(): (tmp_path/f'{name}.py').write_text(source)
    assert Closure(tmp_path).follow(code) == modules.split()


def test_files_of_parameters_fit_the_code():
    for name in ('params.yaml', 'paper/params.yaml', 'paper/experiments.yaml'):
        p = load_params(ROOT/name)
        assert all(p.variant(v) for section in VARIED for v in getattr(p, section).variants), name


@pytest.mark.parametrize('name', ['params.yaml', 'paper/params.yaml'])
def test_ablations_and_baselines_take_nothing_from_train(name):
    def keys(d, prefix=''):
        for k, v in d.items():
            if isinstance(v, dict) and k != 'shares': yield from keys(v, f'{prefix}{k}.')
            else: yield prefix + k
    raw = yaml.safe_load((ROOT/name).read_text())
    for section in ('ablate', 'baselines'):
        assert set(keys(raw['train'])) <= set(keys(raw[section]['common'])), section


def test_an_experiment_changes_one_line_of_the_parameters(tmp_path): # which are written as dvc writes them
    before = (ROOT/'params.yaml').read_text()
    (tmp_path/'params.yaml').write_text(before)
    apply_overrides(tmp_path/'params.yaml', ['train.lr=0.5'])
    new, old = (text.splitlines() for text in ((tmp_path/'params.yaml').read_text(), before))
    assert len(new) == len(old) and [(a, b) for a, b in zip(old, new) if a != b] == [('  lr: 7.0e-4', '  lr: 0.5')]
