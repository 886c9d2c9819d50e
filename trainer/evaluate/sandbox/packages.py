"""Packages of our own Python that programs in the sandbox may import: named by a person, nothing beside them."""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec

from spa_lsp.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package as it is imported: the file of its module, and all that was installed with it."""

    name: str
    module: str
    paths: tuple[str, ...]


def find_package(name: str) -> Package:
    """The package of this name, where it is installed; nothing of it is run.

    Raises:
        BadInput: it is not installed for this Python, or is no package that can be bound in.
    """
    owners = packages_distributions().get(name, ()) if name.isidentifier() else ()
    spec = find_spec(name) if owners else None
    if spec is None or not spec.origin or not os.path.isfile(spec.origin):
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BadInput(f"{name!r} is not a package of this Python {python}; run: pip install {name}, or leave it out")
    return Package(name=name, module=spec.origin, paths=tuple(sorted(_installed(owners))))


def _installed(owners: "list[str] | tuple[()]") -> set[str]:
    """The folders and files that came with it, `numpy` and `numpy.libs`; programs beside the packages are left out."""
    found = set()
    for owner in owners:
        about = distribution(owner)
        names = {file.parts[0] for file in about.files or () if file.parts[0] not in ("..", "__pycache__")}
        found |= {str(about.locate_file(name)) for name in names}
    return {path for path in found if os.path.exists(path)}
