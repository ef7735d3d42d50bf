"""Every figure and colour key: functions that draw data into axes, and a few whole figures.

Nothing here touches pyplot or its state, so scripts run without a display. The names that
`__init__.pyi` lists are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
