"""What is vendored for the pages is as it was published, and its licence lies beside it."""

from hashlib import sha256
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "app" / "page"
PUBLISHED = {
    "timeline/vendor/uplot": {
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    },
}


@pytest.mark.parametrize("folder", PUBLISHED)
def test_it_is_unchanged(folder: str) -> None:
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in (PAGE / folder).iterdir()}
    assert found.pop("README.md"), "which version, of which licence, from where"
    assert found == PUBLISHED[folder]


def test_all_that_is_vendored_is_named_here() -> None:
    assert {path.name for path in (PAGE / "timeline" / "vendor").iterdir()} == {"uplot"}
