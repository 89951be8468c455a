"The site: pages laid out by scripts/docs.py, rendered by Sphinx. No page asks the network for anything."
import ast
import configparser
import inspect
import re
import textwrap
from dataclasses import is_dataclass
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from fastcore.docments import docments

settings = configparser.ConfigParser(interpolation=None)
settings.read(Path(__file__).parent.parent/'settings.ini')
settings = settings['DEFAULT']
project, author, release = settings['title'], settings['author'], settings['version']
copyright = settings['copyright']

extensions = ['myst_nb', 'sphinx.ext.autodoc']
nb_execution_mode = 'off'
nb_merge_streams = True
nb_render_markdown_format = 'gfm'
nb_code_prompt_show, nb_code_prompt_hide = 'Imports', 'Imports'
myst_enable_extensions = ['dollarmath', 'html_image']
myst_heading_anchors = 3

html_theme, html_title = 'furo', f'{project} {release}'
html_static_path, html_css_files = ['static'], ['site.css']
html_copy_source = html_show_sphinx = False
html_math_renderer = 'mathml'

default_role = 'py:obj'
add_module_names = False
autodoc_member_order, autodoc_typehints_format, autodoc_preserve_defaults = 'bysource', 'short', True
maximum_signature_line_length = 80


def comments(obj)->dict[str, str]:
    "Parameter -> the comment beside it, 'return' among them; parameters that share a line share its comment."
    found = docments(obj)
    f = obj.__init__ if inspect.isclass(obj) else obj
    if inspect.isfunction(f) and f.__name__ != '<lambda>' and not is_dataclass(obj):
        f = ast.parse(textwrap.dedent(inspect.getsource(f))).body[0].args
        arguments = [*f.args, *f.kwonlyargs]
        last = {a.end_lineno: found.get(a.arg) for a in arguments} # the comment belongs to the last one of its line
        for a in arguments: found[a.arg] = found.get(a.arg) or last[a.end_lineno]
    return {k: v for k, v in found.items() if v and k not in ('self', 'cls')}


def plain(text:str)->str: # outside of backticks, a docstring's characters mean themselves
    parts = re.split(r'(`[^`]*`)', text)
    return ''.join(part if i % 2 else re.sub(r'([*|_\\])', r'\\\1', part) for i, part in enumerate(parts))


def describe(app, what, name, obj, options, lines):
    lines[:] = [plain(line) for line in lines if what != 'module'] # which scripts/docs.py puts above
    if what not in ('function', 'method', 'class'): return
    notes = comments(obj)
    result = notes.pop('return', None)
    lines += ['', *(f':param {k}: {plain(v)}' for k, v in notes.items()), '']
    if result: lines += [f':returns: {plain(result)}', '']


def readable(app, what, name, obj, options, signature, result): # of a dataclass: what a factory makes
    return signature and signature.replace('<factory>', '...'), result


def skip(app, what, name, obj, skipped, options): # what a module borrows from a library is the library's to describe
    return skipped or not getattr(obj, '__module__', 'hi3_nb').startswith('hi3_nb')


ACCENT = re.compile(r'\\(?:hat|bar|tilde|vec)\s*\{(?:[^{}]|\{[^{}]*\})*\}(?=[_^])')


def braced(tex:str)->str:
    "TeX as docutils needs it, which takes a whole number where TeX takes one digit, and knows no primes."
    tex = ACCENT.sub(r'\g<0>{}', tex) # or the index would stand under the letter
    tex = re.sub(r'\\[dt]frac(?![a-z])', r'\\frac', tex)
    tex = re.sub(r'(\\(?:frac|sqrt)|[\^_])\s*(\d)', r'\1{\2}', tex)
    tex = re.sub(r'(\\frac\s*\{[^{}]*\})\s*(\d)', r'\1{\2}', tex)
    return re.sub(r"('+)(?:\^\{(\w+)\})?", lambda m: '^{' + r'\prime'*len(m[1]) + (m[2] or '') + '}', tex)


def formula(tex:str, as_block:bool=False)->str:
    "MathML; bars and brackets that TeX does not stretch are not stretched."
    return re.sub(r'<mo(?=[^>]*>[‖⌊⌋⌈⌉]<)', '<mo stretchy="false"', tex2mathml(braced(tex), as_block=as_block))


def mathml(as_block):
    def visit(self, node):
        self.body.append(formula(node.astext(), as_block))
        raise nodes.SkipNode
    return visit, None


def setup(app):
    app.connect('autodoc-process-docstring', describe)
    app.connect('autodoc-process-signature', readable)
    app.connect('autodoc-skip-member', skip)
    app.add_html_math_renderer('mathml', inline_renderers=mathml(False), block_renderers=mathml(True))
