from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.static_files import (
    CONTENT_TYPES,
    UNKNOWN_CONTENT,
    Entry,
    StaticFile,
    content_type_of,
    is_harmless,
    resolve,
)


def everything(_: str) -> bool:
    return True


def name_for(path: str, mapping: dict[str, Entry]) -> str | None:
    found = resolve(path, mapping, everything)
    return found.filename if found else None


MAPPING: dict[str, Entry] = {
    "/": "pages/home.html",
    "/static": "public",
    "/slashed/": "public/",
    "/static/special": "special",
    "/one.js": "build/bundle.js",
}


@pytest.mark.parametrize(
    ("path", "filename"),
    [
        ("/", "pages/home.html"),
        ("/one.js", "build/bundle.js"),
        ("/static/a.css", "public/a.css"),
        ("/static/a/b/c.css", "public/a/b/c.css"),
        ("/static/special/a.css", "special/a.css"),  # the longest parent wins
        ("/static/specials/a.css", "public/specials/a.css"),  # whole names only
        ("/static/", "public/index.html"),
        ("/static/a/", "public/a/index.html"),
        ("/static", "public"),
        ("/slashed/a.css", "public/a.css"),
        ("/slashed/", "public/index.html"),
        ("/other", "pages/home.html/other"),  # the key "/" is a parent of everything; is_file decides
    ],
)
def test_exact_then_longest_parent(path: str, filename: str) -> None:
    assert name_for(path, MAPPING) == filename


@pytest.mark.parametrize("key", ["/static", "/static/"])
@pytest.mark.parametrize("folder", ["public", "public/"])
def test_slashes_at_the_end_of_key_and_folder_do_not_matter(key: str, folder: str) -> None:
    assert name_for("/static/a.css", {key: folder}) == "public/a.css"


@pytest.mark.parametrize("path", ["", "/", "/nowhere", "nowhere", "/nowhere/else/a.css"])
def test_what_nobody_mapped_is_no_file(path: str) -> None:
    assert name_for(path, {"/static": "public"}) is None
    assert name_for(path, {}) is None


def test_the_default_file_is_no_parent() -> None:
    mapping: dict[str, Entry] = {"": "start.html", "/static": "public"}
    assert name_for("/static/", mapping) == "public/start.html"
    assert name_for("/a.css", mapping) is None
    assert name_for("", mapping) is None


def test_the_default_file_may_bring_its_type() -> None:
    mapping: dict[str, Entry] = {
        "": {"filename": "start", "content_type": "text/x-start"},
        "/static": {"filename": "public", "content_type": "text/x-own"},
    }
    assert resolve("/static/", mapping, everything) == StaticFile("public/start", "text/x-start")
    assert resolve("/static/a.css", mapping, everything) == StaticFile("public/a.css", "text/x-own")


def test_a_folder_s_type_stays_when_the_default_file_has_none() -> None:
    mapping: dict[str, Entry] = {"": {"filename": "start"}, "/s": {"filename": "p", "content_type": "text/x-own"}}
    assert resolve("/s/", mapping, everything) == StaticFile("p/start", "text/x-own")


def test_no_name_is_the_current_folder_and_never_the_root_of_the_machine() -> None:
    assert name_for("/etc/passwd", {"/": ""}) == "./etc/passwd"


@pytest.mark.parametrize(("extension", "content_type"), CONTENT_TYPES.items())
def test_types_by_extension(extension: str, content_type: str) -> None:
    assert content_type_of(f"folder.d/name.{extension}") == content_type
    assert content_type_of(f"name.{extension.upper()}") == content_type


@pytest.mark.parametrize("filename", ["js", "name.", "name.wasm", "folder.css/name", ""])
def test_any_other_file_is_just_bytes(filename: str) -> None:
    assert content_type_of(filename) == UNKNOWN_CONTENT


def test_a_file_that_does_not_exist_is_left_to_the_next_stage() -> None:
    asked: list[str] = []

    def absent(filename: str) -> bool:
        asked.append(filename)
        return False

    assert resolve("/static/a.css", MAPPING, absent) is None
    assert asked == ["public/a.css"]


def test_without_a_judge_the_disk_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("")
    mapping: dict[str, Entry] = {"/static": str(tmp_path)}
    assert resolve("/static/a.css", mapping) == StaticFile(f"{tmp_path}/a.css", "text/css")
    assert resolve("/static/b.css", mapping) is None
    assert resolve("/static/\ud800.css", mapping) is None


ESCAPES = [
    "/../secret",
    "/a/../../secret",
    "/..",
    "/a/..",
    "/..\\secret",
    "\\..\\secret",
    "/%2e%2e/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/.%2e/secret",
    "/%252e%252e/secret",
    "/%25252e%25252e/secret",
    "/..%5csecret",
    "//etc/passwd",
    "/%2fetc/passwd",
    "/a\0.html",
    "/a%00.html",
    "/a\r\nx",
]


@pytest.mark.parametrize("rest", ESCAPES)
def test_no_way_out_of_the_folder(rest: str) -> None:
    assert not is_harmless(rest)
    assert name_for("/static" + rest, {"/static": "public"}) is None


HARMLESS = ["/..a", "/a..b", "/...", "/100%.txt", "/%41", "/ä b.css", "/12:30.txt", "/.hidden", "/a/./b"]


@pytest.mark.parametrize("rest", HARMLESS)
def test_harmless_names_stay(rest: str) -> None:
    assert name_for("/static" + rest, {"/static": "public"}) == "public" + rest


@given(st.text(alphabet="./%\\25cefEF2\0aä", max_size=12))
def test_whatever_the_path_the_file_is_below_the_folder(rest: str) -> None:
    filename = name_for("/static/" + rest, {"/static": "public"})
    if filename is not None:
        assert filename.startswith("public/")
        assert ".." not in filename.split("/")
        assert "\\" not in filename
