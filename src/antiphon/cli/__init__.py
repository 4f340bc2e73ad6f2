"""The command line: one file a command, each a thin call into the library.

Knows how to print and where to write; every answer and figure comes from the packages below.
"""

from __future__ import annotations
