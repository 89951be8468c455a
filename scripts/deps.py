"""What each stage of dvc.yaml and paper/dvc.yaml needs of the package: python scripts/deps.py writes it, --check compares.

A stage depends on the modules whose code its notebook can reach. From the names that the notebook imports we follow the
names that their definitions use, from module to module, and not what else stands in those modules: `train_stage` needs no
detectors, although both are written in `stages`. Two rules keep that on the safe side:
- what a module does when it is imported counts, and so do its classes with a base: a registry may hand them out by name.
  So a method, an objective or an optimiser belongs to every stage in which a parameter could name it;
- `load_params` is not followed: what a stage takes from params.yaml stands under its `params`."""
import ast
import json
import re
import symtable
import sys
from pathlib import Path
from textwrap import fill

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'hi3_nb'
PIPELINES = 'dvc.yaml', 'paper/dvc.yaml'
UNFOLLOWED = {('stages', 'load_params')}


class Module:
    "The names that a module has at its top: what it imports, what it defines, what it does."
    def __init__(self, source):
        self.imported, self.defined, self.effects = {}, {}, []
        for node in ast.parse(source).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for name, found in imports(node):
                    if name: self.imported[name] = found
                    else: self.effects.append(node)
                continue
            names = defined(node)
            for name in names: self.defined.setdefault(name, []).append(node)
            if not names or isinstance(node, ast.ClassDef) and node.bases: self.effects.append(node)


def imports(node):
    "(name here, (module of the package, name there)) for what an import takes from the package; '' for the whole of it."
    if isinstance(node, ast.Import):
        for a in node.names:
            package, _, module = a.name.partition('.')
            if package == PACKAGE and module: yield a.asname or '', (module, '')
    else:
        package, _, module = (node.module or '').partition('.')
        if node.level: package, module = PACKAGE, node.module or ''
        if package != PACKAGE: return
        for a in node.names:
            if a.name == '*': yield '', (module, '')
            elif module or (ROOT/PACKAGE/f'{a.name}.py').exists(): yield a.asname or a.name, (module, a.name) if module else (a.name, '')


def defined(node):
    "The names that a statement defines."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)): return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    flat = [n for t in targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [n.id for n in flat if isinstance(n, ast.Name)]


def used(table, top=True):
    "The names that a piece of code takes from its module: not its arguments, not what it assigns itself."
    for s in table.get_symbols():
        if s.is_referenced() and (top or s.is_global()): yield s.get_name()
    for inner in table.get_children(): yield from used(inner, top=False)


class Closure:
    "The modules that code can reach."
    def __init__(self, package=ROOT/PACKAGE):
        self.package, self.modules, self.seen = package, {}, set()

    def follow(self, source):
        "Follow a program. Returns the names of the modules, sorted."
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for _, (module, name) in imports(node): self.reach(module, name)
        return sorted(self.modules)

    def module(self, name):
        "A module; what it does when it is imported is followed the first time."
        if name not in self.modules:
            self.modules[name] = m = Module((self.package/f'{name}.py').read_text())
            for node in m.effects: self.use(name, node)
        return self.modules[name]

    def reach(self, module, name):
        "Follow one name of a module, or all of them ('')."
        if (module, name) in self.seen: return
        self.seen.add((module, name))
        m = self.module(module)
        if (module, name) in UNFOLLOWED: return
        if not name:
            for n in [*m.imported, *m.defined]: self.reach(module, n)
        elif name in m.imported: self.reach(*m.imported[name])
        for node in m.defined.get(name, ()): self.use(module, node)

    def use(self, module, node):
        "Follow every name of its module that a piece of code uses, and what it imports itself."
        m = self.modules[module]
        for name in used(symtable.symtable(ast.unparse(node), module, 'exec')):
            if name in m.imported or name in m.defined: self.reach(module, name)
        for n in ast.walk(node):
            if isinstance(n, (ast.Import, ast.ImportFrom)):
                for _, (other, name) in imports(n): self.reach(other, name)


def code_of(notebook):
    "The code of a notebook."
    cells = json.loads(notebook.read_text())['cells']
    return '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'code')


def needed(pipeline, stage):
    "The dependencies that a stage should have: its notebook and data as they stand, then the modules that the notebook reaches."
    up = '../' * pipeline.count('/')
    own = [d for d in stage['deps'] if not d.startswith(f'{up}{PACKAGE}/') or not d.endswith('.py')]
    notebooks = [d for d in own if d.endswith('.ipynb')]
    modules = Closure().follow('\n'.join(code_of((ROOT/pipeline).parent/n) for n in notebooks))
    return [*own, *(f'{up}{PACKAGE}/{m}.py' for m in modules)]


def rewritten(pipeline):
    "The text of a pipeline with the dependencies that each stage should have."
    text = (ROOT/pipeline).read_text()
    for name, stage in yaml.safe_load(text)['stages'].items():
        deps = needed(pipeline, stage.get('do', stage))
        block = re.compile(rf'(?ms)(^  {name}:[^\n]*\n(?:(?!^  \w).)*?^ +deps: )\[.*?\]')
        indent = re.search(block, text)[1].rpartition('\n')[2]
        quoted = ', '.join(f'"{d}"' if '$' in d else d for d in deps)
        lines = fill(f'[{quoted}]', 120, initial_indent=' '*len(indent), subsequent_indent=' '*(len(indent) + 1),
                     break_long_words=False, break_on_hyphens=False).strip()
        text = block.sub(lambda m, lines=lines: m[1] + lines, text, count=1)
    return text


def main(check=False):
    "Write the pipelines anew, or name those that should be."
    stale = [p for p in PIPELINES if rewritten(p) != (ROOT/p).read_text()]
    if check: sys.exit(f'{" and ".join(stale)}: dependencies are not those of the code; run python scripts/deps.py' if stale else 0)
    for p in stale: (ROOT/p).write_text(rewritten(p))


if __name__ == '__main__': main('--check' in sys.argv[1:])
