from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.bundle import find, load
from antiphon.errors import BundleError


def test_a_sealed_bundle_loads_with_sorted_states_and_sizes(tiny_bundle: Path) -> None:
    bundle = load(tiny_bundle)
    names = [state.name for state in bundle.manifest.states]
    assert names == sorted(names)
    assert bundle.card.startswith("# Tiny")
    assert set(bundle.sizes) == {
        "manifest.json",
        "step.onnx",
        "tokenizer.model",
        "scenario.yaml",
        "card.md",
    }


@pytest.mark.parametrize("name", ["step.onnx", "tokenizer.model", "card.md"])
def test_one_changed_byte_is_refused_by_name(own_bundle: Path, name: str) -> None:
    file = own_bundle / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match=name):
        load(own_bundle)


def test_a_cut_off_graph_is_refused(own_bundle: Path) -> None:
    graph = own_bundle / "step.onnx"
    graph.write_bytes(graph.read_bytes()[:-10])
    with pytest.raises(BundleError, match="cut off or altered"):
        load(own_bundle)


def test_a_missing_file_is_refused(own_bundle: Path) -> None:
    (own_bundle / "tokenizer.model").unlink()
    with pytest.raises(BundleError, match=r"tokenizer\.model is missing"):
        load(own_bundle)


def _edit(folder: Path, **changes: object) -> None:
    manifest = folder / "manifest.json"
    fields = json.loads(manifest.read_text())
    fields.update(changes)
    manifest.write_text(json.dumps(fields))


def test_another_format_version_is_named(own_bundle: Path) -> None:
    _edit(own_bundle, format=9, unheard_of=True)
    with pytest.raises(BundleError, match="format 9, this antiphon reads format 1"):
        load(own_bundle)


def test_a_wrong_field_is_named(own_bundle: Path) -> None:
    _edit(own_bundle, n_codes=-1)
    with pytest.raises(BundleError, match="n_codes"):
        load(own_bundle)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd"])
def test_files_outside_the_bundle_are_refused(own_bundle: Path, name: str) -> None:
    _edit(own_bundle, files={name: "0" * 64})
    with pytest.raises(BundleError, match="outside the bundle"):
        load(own_bundle)


def test_a_manifest_without_the_graphs_checksum_is_refused(own_bundle: Path) -> None:
    _edit(own_bundle, files={})
    with pytest.raises(BundleError, match="no checksum"):
        load(own_bundle)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', "\x00\xff"])
def test_a_broken_manifest_is_one_sentence(own_bundle: Path, content: str) -> None:
    (own_bundle / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BundleError):
        load(own_bundle)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        load(tmp_path)
    with pytest.raises(BundleError, match="no bundle"):
        load(tmp_path / "nowhere")


def test_a_bundle_is_found_by_name_and_by_path(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_BUNDLES", str(tiny_bundle.parent))
    assert find("tiny") == tiny_bundle
    assert find(tiny_bundle) == tiny_bundle
    with pytest.raises(BundleError, match="no bundle named 'nobody'"):
        find("nobody")
