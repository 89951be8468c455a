"""What each stage of dvc.yaml and paper/dvc.yaml needs of the package.

    python scripts/deps.py           writes it into both files
    python scripts/deps.py --check   only compares

A stage depends on the modules whose code its notebook can reach. We begin at the names that the notebook imports, and
follow the names that their definitions use from module to module, but not what else those modules hold: `train_stage`
needs no detectors, although both stand in `stages`. Two rules:
- What a module does on import counts, and so do its classes that have a base, which a registry may hand out by name.
  So a method, an objective or an optimiser belongs to every stage in which a parameter could name it.
- `load_params` is not followed: what a stage reads from params.yaml stands under its `params`."""
import ast
import json
import re
import symtable
import sys
from functools import cache
from pathlib import Path
from textwrap import fill

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'hi3_nb'
PIPELINES = 'dvc.yaml', 'paper/dvc.yaml'
UNFOLLOWED = {('stages', 'load_params')}


def imports(node):
    "(name here, module, name there) of each thing that an import takes from the package; '' means all of a module."
    if isinstance(node, ast.Import):
        for a in node.names:
            package, _, module = a.name.partition('.')
            if package == PACKAGE and module: yield a.asname or '', module, ''
    elif isinstance(node, ast.ImportFrom):
        package, _, module = (node.module or '').partition('.')
        if node.level: package, module = PACKAGE, node.module or ''
        if package != PACKAGE: return
        for a in node.names:
            here, there = a.asname or a.name, a.name
            if there == '*': yield '', module, ''
            elif module: yield here, module, there
            elif (ROOT/PACKAGE/f'{there}.py').exists(): yield here, there, '' # from . import images


def defined(node):
    "The names that a statement defines."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)): return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    flat = [n for t in targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [n.id for n in flat if isinstance(n, ast.Name)]


def taken(table, top=True):
    "The names that a piece of code takes from its module: not its arguments, nor what it assigns itself."
    for s in table.get_symbols():
        if s.is_referenced() and (top or s.is_global()): yield s.get_name()
    for inner in table.get_children(): yield from taken(inner, top=False)


@cache
def uses(node):
    "What a piece of code uses: names of its own module, and (module, name) of what it imports itself."
    names = set(taken(symtable.symtable(ast.unparse(node), '', 'exec')))
    return names, {tuple(there) for n in ast.walk(node) for _, *there in imports(n)}


class Module:
    "What a module imports and defines at its top, by name; and what it does."
    def __init__(self, source):
        self.imported, self.defined, self.effects = {}, {}, []
        for node in ast.parse(source).body:
            found, names = list(imports(node)), defined(node)
            self.imported |= {here: there for here, *there in found if here}
            for name in names: self.defined.setdefault(name, []).append(node)
            if isinstance(node, (ast.Import, ast.ImportFrom)): does = any(not here for here, *_ in found)
            else: does = not names or isinstance(node, ast.ClassDef) and node.bases
            if does: self.effects.append(node)


@cache
def read_module(path): return Module(path.read_text())


class Closure:
    "The modules of a package that code can reach."
    def __init__(self, package=ROOT/PACKAGE): self.package, self.modules, self.seen = package, {}, set()

    def follow(self, source):
        "Follow a program. Returns the names of all modules reached."
        for node in ast.walk(ast.parse(source)):
            for _, *there in imports(node): self.reach(*there)
        return sorted(self.modules)

    def reach(self, module, name):
        "Follow one name of a module, or all of them ('')."
        if (module, name) in self.seen: return
        self.seen.add((module, name))
        if module not in self.modules:
            self.modules[module] = m = read_module(self.package/f'{module}.py')
            for node in m.effects: self.use(module, node)
        m = self.modules[module]
        if (module, name) in UNFOLLOWED: return
        for n in [name] if name else [*m.imported, *m.defined]:
            if n in m.imported: self.reach(*m.imported[n])
            for node in m.defined.get(n, ()): self.use(module, node)

    def use(self, module, node):
        "Follow every name that a piece of a module's code uses, and what it imports itself."
        m, (names, elsewhere) = self.modules[module], uses(node)
        for name in names:
            if name in m.imported or name in m.defined: self.reach(module, name)
        for there in elsewhere: self.reach(*there)


def code_of(notebook):
    "The code of a notebook."
    cells = json.loads(notebook.read_text())['cells']
    return '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'code')


def needed(pipeline, stage):
    "The dependencies of a stage: what is no module stays as it is; then the modules that its notebook reaches."
    folder = f'{"../" * pipeline.count("/")}{PACKAGE}/'
    own = [d for d in stage['deps'] if not (d.startswith(folder) and d.endswith('.py'))]
    code = '\n'.join(code_of((ROOT/pipeline).parent/d) for d in own if d.endswith('.ipynb'))
    return own, [f'{folder}{m}.py' for m in Closure().follow(code)]


def rewritten(pipeline):
    "The text of a pipeline in which every stage has its dependencies."
    text = (ROOT/pipeline).read_text()
    for name, stage in yaml.safe_load(text)['stages'].items():
        block = re.compile(rf'(?ms)(^  {name}:[^\n]*\n(?:(?!^  \w).)*?^ +deps: )\[.*?\]')
        indent = ' ' * (len(block.search(text)[1].rpartition('\n')[2]) + 1)
        parts = needed(pipeline, stage.get('do', stage))
        own, modules = (', '.join(f'"{d}"' if '$' in d else d for d in part) for part in parts)
        fold = lambda s, indent=indent: fill(s, 119, initial_indent=indent, subsequent_indent=indent,
                                             break_long_words=False, break_on_hyphens=False)
        listed = ('[' + fold(own + ',').lstrip() + '\n' + fold(modules) + ']') if modules else f'[{own}]'
        text = block.sub(lambda m, listed=listed: m[1] + listed, text, count=1)
    return text


def main(check=False):
    "Write the pipelines anew, or name those that are not as they should be."
    new = {p: text for p in PIPELINES if (text := rewritten(p)) != (ROOT/p).read_text()}
    if check: sys.exit(f'{" and ".join(new)}: not what the code needs; run python scripts/deps.py' if new else 0)
    for p, text in new.items(): (ROOT/p).write_text(text)


if __name__ == '__main__': main('--check' in sys.argv[1:])
