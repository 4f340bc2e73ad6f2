"""The suites: which trials each needs, holding them, and what is measured on them.

In: a system's name, a set of stimuli, a folder. Out: trials on disk and a report of them. A run
that was ended goes on where it was. Knows no metric by itself, and no page.
"""

from __future__ import annotations

from antiphon.evaluation.suites.plan import READS, SUITES, Job, Suite, plan, suites_of

__all__ = ["READS", "SUITES", "Job", "Suite", "plan", "suites_of"]
