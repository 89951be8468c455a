"Hide photographs in a photograph and get them back after JPEG, resizing, blur or noise."
__version__ = "0.1.0"


def __getattr__(name): # PyTorch is loaded when it is needed, not before
    if name in ('hide', 'reveal', 'Hider'):
        from . import hiding
        return getattr(hiding, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
