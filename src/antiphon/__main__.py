"""`python -m antiphon` is `antiphon`."""

from __future__ import annotations

from antiphon.cli.main import main

main()
