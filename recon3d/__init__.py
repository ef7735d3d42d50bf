"""Recon3D: 3D grain shape, orientation and strain from dark-field X-ray microscopy.

The names that `__init__.pyi` lists are loaded when they are first used, so ``import recon3d``
stays quick.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
