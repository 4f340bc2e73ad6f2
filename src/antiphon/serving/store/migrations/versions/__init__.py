"""One module a version of the schema, each named in the next one's `down_revision`."""

from __future__ import annotations
