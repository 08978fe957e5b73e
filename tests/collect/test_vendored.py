import hashlib
from importlib.resources import files

from tillit.collect.script import manifest

STATIC = files("tillit.collect").joinpath("static")


def test_every_vendored_file_is_the_one_that_was_published() -> None:
    found = {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in STATIC.iterdir()
        if entry.name != "manifest.json"
    }

    assert found == manifest()


def test_the_licence_lies_beside_the_script() -> None:
    assert "MIT License" in STATIC.joinpath("LICENSE.analytics-next.md").read_text()
