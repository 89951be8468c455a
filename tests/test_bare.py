"A machine with nothing but torch, accelerate and friends can train."
ABSENT = ('nbdev', 'fastcore', 'dvc', 'dvclive', 'papermill', 'IPython', 'torchmetrics', 'pandas', 'skimage', 'sklearn', 'kornia')


def test_trains_without_notebook_tools(tiny):
    script = f'import sys; sys.modules.update(dict.fromkeys({ABSENT})); from hi3_nb.training import main; main()' # None there: cannot be imported
    p = tiny.run('bare', 'train.steps=2', command=('-c', script))
    assert p.returncode == 0 and '"steps": 2' in p.out, p.err
    assert {'curve.csv', 'model.safetensors', 'checkpoint.pt'} == {f.name for f in (tiny.folder/'bare').iterdir()} # and no folder of dvclive
