"""Where a store of calls is, for the commands that read one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.serving.store import Store

Where = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help="The store's folder; ANTIPHON_STORE, or antiphon/calls in your data folder. "
        "Or postgresql://... of its database.",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        help="postgresql://... of its database, where --store names the folder.",
        envvar="ANTIPHON_STORE_URL",
    ),
]
AuditKey = Annotated[
    Path | None,
    typer.Option("--audit-key", help="The file of the key that the audit log is chained with."),
]


@contextmanager
def opened(where: str | None, url: str | None, audit_key: Path | None = None) -> Generator[Store]:
    """The store that is meant; it must be there already. Raises AntiphonError."""
    installed()
    from antiphon.serving.store import Store, StoreConfig, StoreError, default_folder

    if where is not None and "://" in where:
        where, url = None, where
    folder = Path(where).expanduser() if where else default_folder()
    if url is None and not (folder / "calls.db").exists():
        raise StoreError(f"{folder} holds no store; name its folder or its database with --store")
    with Store.open(StoreConfig(folder=folder, url=url, audit_key=audit_key)) as store:
        yield store


def installed() -> None:
    """Raises AntiphonError where the libraries of the server are not installed."""
    try:
        import antiphon.serving.store  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise AntiphonError(
            f"a store of calls needs {error.name}: pip install 'antiphon[serve]'"
        ) from None
