"""Planted grains and the frames that they would give.

The names that `__init__.pyi` lists are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
