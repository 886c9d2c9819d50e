"""Where things lie for a user without a home, and where the runtime folder that is named cannot be."""

import os
import pwd
import tempfile
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.client import EngineClient, stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import BadInput
from tests.fakes import fake_engine_command

FOLDERS = (paths.data_dir, paths.cache_dir, paths.config_dir)


@pytest.fixture
def temporary(monkeypatch):
    """What is /tmp for this test."""
    with tempfile.TemporaryDirectory(prefix="spa") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        paths._say_once.cache_clear()
        yield paths._temporary_dir()


@pytest.fixture
def homeless(monkeypatch, temporary):
    """As with `docker --user 54321`: no HOME, and no entry in the passwd file."""
    for name in ("HOME", "SPA_HOME", "SPA_CACHE", "SPA_CONFIG", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)

    def getpwuid(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    return temporary


# #11
def test_who_has_no_home_gets_a_private_folder_and_is_told_once(homeless, caplog):
    for folder in FOLDERS:
        assert folder().is_relative_to(homeless / "home")
    assert homeless.stat().st_mode & 0o777 == 0o700
    assert len(caplog.records) == 1 and "there is no home folder to write in" in caplog.text


# #11
def test_a_home_that_cannot_be_made_is_none(homeless, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
    assert paths.data_dir().is_relative_to(homeless / "home")


# #11
def test_a_folder_that_somebody_else_made_for_the_homeless_is_refused(homeless, tmp_path):
    homeless.symlink_to(tmp_path)
    with pytest.raises(BadInput, match="belongs to someone else.*set HOME"):
        paths.data_dir()


# #11
def test_a_home_that_is_named_by_a_tilde_is_taken_as_it_is_by_the_homeless(homeless, monkeypatch):
    monkeypatch.setenv("SPA_HOME", "~/spa")
    assert str(paths.data_dir()) == "~/spa"


# #11
def test_an_engine_is_there_though_the_runtime_folder_cannot_be_made(temporary, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file" / "run"))
    path = socket_path("fake-base", "auto")
    with closing(EngineClient(path, command=fake_engine_command(path))) as client:
        assert client.complete(CompletionRequest(prefix="x")).alternatives and path.parent == temporary
    assert temporary.stat().st_mode & 0o777 == 0o700 and caplog.text.count("cannot be used") == 1
    stop_engine(path)


def test_a_home_and_a_runtime_folder_that_can_be_used_are(temporary, monkeypatch, tmp_path, caplog):
    monkeypatch.delenv("SPA_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.data_dir() == tmp_path / ".local/share/spa-lsp"
    assert str(paths.runtime_dir()) == os.environ["XDG_RUNTIME_DIR"] + "/spa-lsp" and caplog.text == ""


# #13
def test_the_runtime_folder_of_another_user_is_as_none(temporary, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert paths.runtime_dir() == paths._temporary_dir() and "cannot be used" in caplog.text
