"""The setting HOOKS: what it declares, and one line without any secret for what it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.hooks.declared import declared
from app.settings import Settings, SettingsError, load

CANARY = "canary-of-32-characters-hunter22"
GITHUB = {"kind": "github", "secrets": [CANARY]}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def test_a_source_is_the_hooks_name_unless_another_is_given() -> None:
    hooks = declared(json.dumps({"github": GITHUB, "forge-2": {**GITHUB, "source": " our forge "}}))
    assert [(hook.name, hook.kind, hook.source) for hook in hooks] == [
        ("github", "github", "github"),
        ("forge-2", "github", "our forge"),
    ]
    assert hooks[0].keys == (CANARY.encode(),)


def test_secrets_may_stand_in_a_file_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text(f"{CANARY}-1\n\n  {CANARY}-2\n")
    (hook,) = declared(json.dumps({"g": {"kind": "github", "secrets_file": str(path), "secrets": [CANARY]}}))
    assert hook.keys == (CANARY.encode(), f"{CANARY}-1".encode(), f"{CANARY}-2".encode())


def test_a_hook_never_shows_its_secrets() -> None:
    assert CANARY not in repr(declared(json.dumps({"g": GITHUB})))


WRONG: list[tuple[Any, str]] = [
    ("{", "must be a JSON object of webhooks by name: "),
    ("[]", "must be a JSON object of webhooks by name: "),
    (json.dumps(CANARY), "must be a JSON object of webhooks by name: "),
    ({"Upper": GITHUB}, "a webhook's name is of lower-case letters"),
    ({"a/b": GITHUB}, "a webhook's name is of lower-case letters"),
    ({"g": {"secrets": [CANARY]}}, "g: Object missing required field `kind`"),
    (
        {"g": {**GITHUB, "kind": "bitbucket"}},
        "g: kind must be one of alertmanager, argocd, github, gitlab, standard",
    ),
    ({"g": {**GITHUB, "secert": CANARY}}, "g: Object contains unknown field `secert`"),
    ({"g": {**GITHUB, CANARY: "x"}}, "g: Object contains unknown field `...`"),
    ({"g": {**GITHUB, "secrets": CANARY}}, "g: Expected `array`, got `str` - at `$.secrets`"),
    ({"g": CANARY}, "g: Expected `object`, got `str`"),
    ({"g": {"kind": "github"}}, "g: there is no secret"),
    ({"g": {"kind": "github", "secrets": [" "]}}, "g: there is no secret"),
    ({"g": {"kind": "github", "secrets": ["short"]}}, "g: a secret must have at least 16 bytes"),
    ({"g": {"kind": "standard", "secrets": [f"whsec_{CANARY}!"]}}, "g: a secret must be Base64, after whsec_"),
    ({"g": {"kind": "gitlab", "secrets": [f"whsec_{CANARY}!"]}}, "g: a secret must be Base64, after whsec_"),
    ({"g": {**GITHUB, "source": " "}}, "g: source is empty"),
    ({"g": {**GITHUB, "secrets_file": "/no/such"}}, "g: [Errno 2] No such file or directory: '/no/such'"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_cannot_be_right_is_one_line_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, given: Any, said: str
) -> None:
    monkeypatch.setenv("HOOKS", given if isinstance(given, str) else json.dumps(given))
    with pytest.raises(SettingsError) as caught:
        load([])
    line = str(caught.value)
    assert line.startswith(f"HOOKS: {said}"[:60])
    assert CANARY not in line
    assert "\n" not in line


def test_it_comes_from_wherever_settings_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = json.dumps({"g": GITHUB})
    (tmp_path / "file").write_text(text)
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted/hooks").write_text(text)
    (tmp_path / "c.toml").write_text(f'[hooks.g]\nkind = "github"\nsecrets = ["{CANARY}"]\n')
    for name, value in {
        "HOOKS": text,
        "HOOKS_FILE": str(tmp_path / "file"),
        "CONFIG_DIR": str(tmp_path / "mounted"),
        "CONFIG": str(tmp_path / "c.toml"),
    }.items():
        monkeypatch.setenv(name, value)
        settings = load([])
        assert settings.hooks is not None, name
        assert declared(settings.hooks.get_secret_value()) == declared(text), name
        assert CANARY not in f"{settings!r} {settings.public()}"
        monkeypatch.delenv(name)
    assert load([]).hooks is None
