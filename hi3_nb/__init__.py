"Hide photographs in a photograph and get them back after JPEG, resizing, blur or noise."
__version__ = "0.1.0"


_FACE = dict(hide='tool', reveal='tool', NothingHidden='tool', NeedsPassword='tool', TooDamaged='tool')


def __getattr__(name): # what a name needs is loaded with it, not before
    from importlib import import_module
    if name in _FACE: return getattr(import_module(f'.{_FACE[name]}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
