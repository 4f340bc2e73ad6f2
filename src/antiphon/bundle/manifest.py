"""The bundle's manifest: what the folder holds, how the graph is fed, and its checksums.

A bundle is read only after every file's SHA-256 is what the manifest says, so a download that
stopped half way or a changed byte is one sentence at the door and not noise in a call.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.errors import BundleError

FORMAT = 1
MANIFEST = "manifest.json"
GRAPH = "step.onnx"
TOKENIZER = "tokenizer.model"
CARD = "card.md"

DType = Literal["float32", "float16", "int64", "int32", "int8", "uint8", "bool"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StateSpec(_Frozen):
    """One tensor of the network's state: graph input `state.<name>`, output `next.<name>`."""

    name: str
    shape: tuple[int, ...]
    """Without the batch axis, which comes first in the graph."""
    dtype: DType = "float32"


class Temperatures(_Frozen):
    """Sampling temperatures that the card's figures were measured with; 0 is greedy."""

    text: float = Field(default=0.0, ge=0)
    codes: float = Field(default=0.5, ge=0)


class Delays(_Frozen):
    """How far the streams stand from each other."""

    text_lead: int = Field(default=3, ge=0)
    """Frames by which the agent's text is ahead of its audio."""
    caller_text: int = Field(default=3, ge=0)
    """Frames from the end of a caller's word to its text."""
    codec_lookahead: int = Field(default=480, ge=0)
    """Samples by which the agent's audio is behind its codes."""


class BundleManifest(_Frozen):
    """`manifest.json`. `files` maps each other file's name to its SHA-256 in hex."""

    format: int = FORMAT
    name: str
    sample_rate: int = SAMPLE_RATE
    frame: int = FRAME
    n_codes: int = Field(gt=0)
    codebook_size: int = Field(gt=0)
    text_vocabulary: int = Field(gt=2)
    """Text ids of the graph: PAD, END, then the tokenizer's pieces."""
    spelt: int = Field(default=0, ge=0)
    """Characters, or blanks, that the ears spell in a frame; 0: the graph does not tell."""
    characters: str = ""
    """What their spelling is made of, from id 1 on; 0 is the blank."""
    tools: tuple[dict[str, Any], ...]
    """JSON schemas of the tools, in the order that `CallVocabulary.from_tools` takes."""
    scenario: str = "scenario.yaml"
    temperatures: Temperatures = Temperatures()
    delays: Delays = Delays()
    batch: int | Literal["dynamic"] = "dynamic"
    states: tuple[StateSpec, ...]
    files: dict[str, str] = {}

    @field_validator("states")
    @classmethod
    def _sorted(cls, states: tuple[StateSpec, ...]) -> tuple[StateSpec, ...]:
        return tuple(sorted(states, key=lambda state: state.name))

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"file {name!r} is outside the bundle")
        return files


@dataclass(frozen=True)
class Bundle:
    """A folder whose files were verified against its manifest."""

    folder: Path
    manifest: BundleManifest

    @property
    def graph(self) -> Path:
        return self.folder / GRAPH

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    @property
    def scenario(self) -> Path:
        return self.folder / self.manifest.scenario

    @property
    def card(self) -> str:
        """The card's text, or an empty string for a bundle without one."""
        path = self.folder / CARD
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file, the manifest included."""
        names = [MANIFEST, *sorted(self.manifest.files)]
        return {name: (self.folder / name).stat().st_size for name in names}


def seal(folder: Path, manifest: BundleManifest) -> BundleManifest:
    """Fill in the checksums of every file in `folder` and write `manifest.json`, last and whole.

    Raises BundleError when a file that every bundle needs is not there.
    """
    for name in (GRAPH, TOKENIZER, manifest.scenario):
        if not (folder / name).is_file():
            raise BundleError(f"{folder}: cannot seal the bundle, {name} is missing")
    files = {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
    }
    sealed = manifest.model_copy(update={"files": files})
    beside = folder / f".{MANIFEST}.{os.getpid()}"
    beside.write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(beside, folder / MANIFEST)
    return sealed


def load(path: str | Path) -> Bundle:
    """Read and verify the bundle in the folder `path`.

    Raises BundleError with one sentence when it is missing, cut off, altered, or of another
    format version.
    """
    folder = Path(path)
    source = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError(f"{folder}: there is no bundle here (a bundle is a folder)")
    if not source.is_file():
        raise BundleError(f"{folder}: this folder is no bundle, it has no {MANIFEST}")
    manifest = _read(source)
    for name in (GRAPH, TOKENIZER, manifest.scenario):
        if name not in manifest.files:
            raise BundleError(f"{source}: lists no checksum for {name}; export the bundle again")
    for name, wanted in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise BundleError(f"{folder}: {name} is missing; copy the whole bundle again")
        if _sha256(file) != wanted:
            raise BundleError(
                f"{file}: is not the file that the manifest describes (cut off or altered); "
                "copy the bundle again"
            )
    return Bundle(folder, manifest)


def find(name: str | Path) -> Path:
    """The folder of a bundle given by path or by name, such as "cafe".

    A path wins; a plain name is looked for in $ANTIPHON_BUNDLES, ./bundles, the source tree's
    `bundles/`, and where an installed package keeps them. Raises BundleError naming the places.
    """
    given = Path(name)
    if given.is_dir() or len(given.parts) != 1:
        return given
    for place in places():
        if (place / given / MANIFEST).is_file():
            return place / given
    looked = ", ".join(str(place) for place in places())
    raise BundleError(f"there is no bundle named {str(name)!r} (looked in {looked}); give its path")


def places() -> list[Path]:
    """Where bundles and judges are looked for by name, in order."""
    package = Path(__file__).resolve().parents[1]
    places = [Path("bundles"), package.parents[1] / "bundles", package / "bundles"]
    places.append(Path(sys.prefix) / "share" / "antiphon" / "bundles")
    extra = os.environ.get("ANTIPHON_BUNDLES")
    return [Path(extra), *places] if extra else places


def _read(source: Path) -> BundleManifest:
    try:
        fields = json.loads(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{source}: is no JSON (cut off or altered): {error}") from error
    version = fields.get("format") if isinstance(fields, dict) else None  # type: ignore[reportUnknownVariableType]
    if version != FORMAT:
        raise BundleError(
            f"{source}: the bundle has format {version}, this antiphon reads format {FORMAT}; "
            "export the bundle again or install the matching antiphon"
        )
    try:
        return BundleManifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{source}: {where}: {first['msg']}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
