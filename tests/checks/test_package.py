"""What is built for users holds app/ and nothing else: no test, and no bug that a drill plants."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi

from tests.checks.test_names import NAME, ONCE, ROOT

# That nothing in app/ imports the tests is ARROWS' to say, in test_imports.py.
STEM = f"{NAME}-{ONCE['version']}"
BESIDE = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


@pytest.fixture(autouse=True)
def _built_from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_a_wheel_holds_the_application_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"app", f"{STEM}.dist-info"}


def test_a_source_archive_holds_the_application_alone(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / buildapi.build_sdist(str(tmp_path))) as archive:
        tops = {Path(name).relative_to(STEM).parts[0] for name in archive.getnames()}
    assert tops == {"app", *BESIDE}
