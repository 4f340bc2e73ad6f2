"""What a run of the suites found, written for people and for programs.

In: trials on disk and what the suites measured. Out: a folder with `index.html` (one page that
asks nothing of the network), `report.json` and `summary.md`. Knows no metric: it shows whatever
figures and verdicts it is given.
"""

from __future__ import annotations

from antiphon.evaluation.report.model import Case, Failure, Report, Run
from antiphon.evaluation.report.write import assemble, read, write

__all__ = ["Case", "Failure", "Report", "Run", "assemble", "read", "write"]
