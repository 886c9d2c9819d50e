"""The plugin's own unit tests, and every module loaded, in each Neovim."""

import subprocess

import pytest

from tests.e2e.editor_folders import CannotInstall
from tests.e2e.neovim_install import VERSIONS, neovim
from tests.e2e.neovim_session import PLUGIN, own_folders

pytestmark = pytest.mark.editors


@pytest.mark.parametrize("version", VERSIONS)
def test_units_pass(version, tmp_path):
    try:
        program = neovim(version)
    except CannotInstall as error:
        pytest.skip(f"Neovim {version} cannot be had here: {error}")
    command = [program, "--clean", "--headless", "-l", PLUGIN / "tests" / "run.lua"]
    result = subprocess.run(command, env=own_folders(tmp_path), capture_output=True, text=True, timeout=60)
    assert (result.returncode, "0 failed" in result.stdout + result.stderr) == (0, True), result.stderr
