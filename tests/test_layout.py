"The house: decades, sizes of modules and cells, style that no linter checks, public names typed and described."
import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {p.stem: json.loads(p.read_text())['cells'] for p in sorted((ROOT/'nbs').glob('*.ipynb'))}
SOURCE = {n: [''.join(c['source']) for c in cells if c['cell_type'] == 'code'] for n, cells in NOTEBOOKS.items()}
EXPORT = re.compile(r'^#\| default_exp (\w+)')
WRITTEN = {m[1]: n for n, cells in SOURCE.items() for c in cells if (m := EXPORT.search(c))} # module -> notebook
MODULES = sorted(p.stem for p in (ROOT/'hi3_nb').glob('*.py') if p.stem[0] != '_')
TREES = {m: ast.parse((ROOT/'hi3_nb'/f'{m}.py').read_text()) for m in MODULES}
FACE = dict(hide='tool', reveal='tool') # names of hi3_nb itself


def none(found): # each of what was found on a line of its own
    found = list(found)
    assert not found, f'{len(found)}:\n' + '\n'.join(found)


def named(text:str): # the module of this package that a dotted name means, if any
    parts = text.partition(':')[0].split('.')
    if parts[0] != 'hi3_nb' or len(parts) < 2: return None
    name = FACE.get(parts[1], parts[1])
    return name if name in MODULES else None


def is_import_call(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func).split('.')[-1] in ('import_module', '__import__')


def imports(tree)->set[str]:
    "Modules of this package that a module imports: anywhere, by `import`, by `from`, relative or not, by a string."
    found = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Import): found |= {a.name for a in n.names}
        elif isinstance(n, ast.ImportFrom):
            base = ('hi3_nb.' if n.level else '') + (n.module or '')
            found |= {base, *(f'{base.rstrip(".")}.{a.name}' for a in n.names)}
        elif isinstance(n, ast.Attribute): found.add(ast.unparse(n)) # import hi3_nb, then hi3_nb.inputs
        elif isinstance(n, ast.Constant) and re.fullmatch(r'hi3_nb\.\w+(:\w+)?', str(n.value)): found.add(n.value)
        elif is_import_call(n): # by a relative name
            found |= {f'hi3_nb{a.value}' for a in n.args if isinstance(a, ast.Constant) and str(a.value)[:1] == '.'}
    return {m for name in found if (m := named(name))}


@pytest.mark.parametrize('source', [
    'from hi3_nb.inputs import hide', 'from .inputs import hide', 'from . import inputs', 'from hi3_nb import inputs',
    'import hi3_nb.inputs', 'import hi3_nb.inputs as h', 'import torch, hi3_nb.inputs',
    'def f():\n    from hi3_nb.inputs import hide',
    'def f():\n    import hi3_nb\n    return hi3_nb.inputs.hide',
    'import_module("hi3_nb.inputs")', 'importlib.import_module(".inputs", "hi3_nb")', '__import__("hi3_nb.inputs")',
    'LATER = "hi3_nb.inputs:as_picture"'])
def test_every_kind_of_import_is_seen(source): assert imports(ast.parse(source)) == {'inputs'}


def test_what_is_no_import_is_not_seen():
    source = '"see hi3_nb.inputs for more"\nimport torch.inputs\nfrom other.hi3_nb import inputs\nx.inputs'
    assert not imports(ast.parse(source))


def test_every_module_has_a_notebook(): assert sorted(WRITTEN) == MODULES


def test_lower_decades_import_nothing_from_higher_ones():
    decade = {m: int(n[0]) for m, n in WRITTEN.items()}
    up = [f'{WRITTEN[m]} imports {WRITTEN[i]}' for m in MODULES for i in imports(TREES[m]) if decade[i] > decade[m]]
    none(up)


def test_no_module_imports_itself_in_a_circle():
    left = {m: imports(TREES[m]) - {m} for m in MODULES}
    while free := [m for m, uses in left.items() if not uses & set(left)]:
        for m in free: del left[m]
    assert not left


def test_modules_are_short():
    lines = {m: len((ROOT/'hi3_nb'/f'{m}.py').read_text().splitlines()) for m in MODULES}
    none(f'{m}: {n} lines' for m, n in lines.items() if n > (200 if m == 'networks' else 300))


def test_exported_cells_are_short(): # a class is not torn
    long = []
    for notebook, cells in SOURCE.items():
        for cell in cells:
            lines = [line for line in cell.strip().splitlines() if not line.startswith('#|')]
            if not re.search(r'^#\| export\b', cell, re.MULTILINE) or len(lines) <= 25: continue
            body = ast.parse('\n'.join(lines)).body
            if not (len(body) == 1 and isinstance(body[0], ast.ClassDef)):
                long.append(f'{notebook}: {len(lines)} lines: {lines[0]}')
    none(long)


def test_prose_is_wrapped(): # tables and addresses may be as long as they must
    def may(line): return line.startswith('|') or re.search(r'\]\(\S{60,}\)|https?://\S{60,}', line)
    none(f'{n}: {line[:80]}' for n, cells in NOTEBOOKS.items() for c in cells if c['cell_type'] == 'markdown'
         for line in ''.join(c['source']).splitlines() if len(line) > 120 and not may(line))


ONE_THING = (ast.Raise, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Continue, ast.Break, ast.Pass)


def crowded(tree):
    "Lines where a condition stands together with what it does, and that is more than one plain thing."
    def bad(body): return not (len(body) == 1 and isinstance(body[0], ONE_THING))
    for n in ast.walk(tree):
        if not isinstance(n, ast.If): continue
        together, other = n.body[0].lineno == n.test.end_lineno, n.orelse
        if together and bad(n.body): yield n.lineno
        if other and other[0].lineno == n.body[-1].end_lineno + 1: # 'else: ...': it has no place of its own in the tree
            is_elif = isinstance(other[0], ast.If) and other[0].col_offset == n.col_offset
            if not is_elif and bad(other): yield other[0].lineno


def test_one_line_conditions_do_one_thing():
    lines = {m: (ROOT/'hi3_nb'/f'{m}.py').read_text().splitlines() for m in MODULES}
    none(f'{m}.py:{i}: {lines[m][i - 1].strip()}' for m in MODULES for i in crowded(TREES[m]))


def test_crowded_lines_are_seen():
    def lines(source): return list(crowded(ast.parse(source)))
    for bad in ('if a: f()', 'if (a or\n  b): f()', 'if a: b = 1; c = 2'): assert lines(bad) == [1], bad
    assert lines('if a: b = 1\nelse: f()') == lines('if a: return\nelif b: f()') == [2]
    for good in ('if a: b = 1\nelif b: return\nelse: raise X', 'if a:\n    f()\nelse:\n    f()',
                 'if a:\n    f()\nelif b:\n    f()'): assert lines(good) == [], good


def public(tree): # functions and methods, with the class they belong to
    for n in tree.body:
        if isinstance(n, ast.FunctionDef) and n.name[0] != '_': yield n, None
        if isinstance(n, ast.ClassDef) and n.name[0] != '_':
            yield from ((f, n.name) for f in n.body if isinstance(f, ast.FunctionDef) and f.name[0] != '_')


def gives(f)->bool: # a function that returns or yields something
    todo = list(f.body)
    for x in todo:
        if isinstance(x, ast.Yield | ast.YieldFrom) or (isinstance(x, ast.Return) and x.value): return True
        if not isinstance(x, ast.FunctionDef | ast.Lambda): todo += ast.iter_child_nodes(x) # what they give is theirs
    return False


def missing(m):
    module = importlib.import_module(f'hi3_nb.{m}')
    for f, owner in public(TREES[m]):
        above = getattr(module, owner).__mro__[1:] if owner else ()
        if any(f.name in vars(c) for c in above): continue # described where it comes from
        name = f'{m}.{owner}.{f.name}' if owner else f'{m}.{f.name}'
        arguments = [a for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if a.arg not in ('self', 'cls')]
        if not ast.get_docstring(f): yield f'{name}: no docstring'
        if bare := [a.arg for a in arguments if not a.annotation]: yield f'{name}: no type for {", ".join(bare)}'
        if gives(f) and not f.returns: yield f'{name}: no type for what it returns'
    for n in TREES[m].body:
        described = not isinstance(n, ast.ClassDef) or n.name[0] == '_' or inspect.getdoc(getattr(module, n.name))
        if not described: yield f'{m}.{n.name}: no docstring'


def test_public_names_are_typed_and_described():
    none(problem for m in MODULES for problem in missing(m))
