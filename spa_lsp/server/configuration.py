"""The settings of one front while it lives: the client's, those of files that may change, and what a command chose."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsprotocol import types

from spa_lsp.adapters.finding import find_served_set
from spa_lsp.adapters.served_base import served_base, served_stamp
from spa_lsp.errors import SpaError
from spa_lsp.settings.files import Signature, read_layers, signature
from spa_lsp.settings.schema import Layer, Resolved, Settings, resolve, to_snake_case
from spa_lsp.storage.whole_files import Stamp
from spa_lsp.workspace.folders import folder_of
from spa_lsp.workspace.ignores import uri_path, why_uri_ignored

SECTIONS = ("spaLsp", "spa-lsp", "spa_lsp")  # under which clients keep our settings in a tree of theirs
LOOK_EVERY_S = 10.0  # for another base: the trainer writes to the store all the time, and a look takes up to 0.1 s
FOLDER_KEY = "workspace"  # of the settings that a client has from files of the folder, which anyone can have written


class Configuration:
    """Resolved settings, read anew when a file or the client changed.

    The window's are those of its first folder. A document goes by those of the folder that it lies in, and by the
    window's when it lies in none; what decides about the engine is one for the window.
    """

    def __init__(self) -> None:
        self.resolved = Resolved()
        self.folders: list[Path] = []
        self._client: Any = None
        self._chosen: dict[str, Any] = {}
        self._read_at: list[Signature] = []
        self._read_layers: list[Resolved] = []  # of each root, with `auto` where that is the base
        self._found_at: tuple[Stamp, ...] = ()
        self._looked_at_s = 0.0
        self._by_folder: dict[Path, Settings] = {}
        self._told: set[str] = set()

    @property
    def settings(self) -> Settings:
        """The settings as they were read last."""
        return self.resolved.settings

    def settings_of(self, uri: str) -> Settings:
        """Those by which a document goes."""
        folder = folder_of(uri, self.folders)
        return self._by_folder.get(folder, self.settings) if folder else self.settings

    @property
    def all_settings(self) -> list[Settings]:
        """Of the window, then of each folder: equal while nothing that counts has changed."""
        return [self.settings, *self._by_folder.values()]

    @property
    def has_client_options(self) -> bool:
        """Whether the client gave settings."""
        return self._client is not None

    def start(self, params: types.InitializeParams) -> None:
        """Take what the client says at its start."""
        self.folders = _folders(params)
        self._client = params.initialization_options
        self._read()

    def refresh(self) -> None:
        """Read the files again if one changed; a few microseconds if none did. Now and then see which base is meant."""
        if self._signatures() != self._read_at:
            self._read()
        elif time.monotonic() >= self._looked_at_s + LOOK_EVERY_S:
            self._looked_at_s = time.monotonic()
            if served_stamp() != self._found_at:
                self.find_base()

    def find_base(self) -> None:
        """See which base `auto` means now: another may have been pulled, or have got a set."""
        self._found_at, self._looked_at_s = served_stamp(), time.monotonic()
        found = [_with_base(each) for each in self._read_layers]
        complaints = dict.fromkeys(complaint for each in found for complaint in each.complaints)
        self.resolved = replace(found[0], complaints=tuple(complaints))
        self._by_folder = {folder: each.settings for folder, each in zip(self.folders, found, strict=False)}

    def set_client(self, values: Any) -> None:
        """The client's settings are these from now on."""
        self._client = values
        self._read()

    def change_folders(
        self, *, added: Sequence[types.WorkspaceFolder], removed: Sequence[types.WorkspaceFolder]
    ) -> None:
        """The client opened folders, or closed some."""
        gone = _paths([folder.uri for folder in removed])
        kept = [folder for folder in self.folders if folder not in gone]
        self.folders = [*kept, *(folder for folder in _paths([each.uri for each in added]) if folder not in kept)]
        self._read()

    def choose(self, name: str, value: Any) -> None:
        """The user chose a value by a command; it holds until the front ends."""
        self._chosen[name] = value
        self._read()

    def take_complaints(self) -> list[str]:
        """What cannot be used and was not told yet."""
        new = [complaint for complaint in self.resolved.complaints if complaint not in self._told]
        self._told.update(new)
        return new

    def without_folders(self, text: str) -> str:
        """The text as a log may hold it: without the workspace's paths, each whole and the innermost first."""
        paths = sorted((re.escape(str(folder)) for folder in self.folders), key=len, reverse=True)
        return re.sub(rf"(?<!\w)(?:{'|'.join(paths)})(?![\w-]|\.\w)", "<workspace>", text) if paths else text

    def is_ignored(self, uri: str) -> bool:
        """Whether the document or file is to be left alone: no completion, no context."""
        return bool(self.why_ignored(uri))

    def why_ignored(self, uri: str, language: str = "") -> str:
        """The rule by which it is left alone, with its origin; empty: by none."""
        folder = folder_of(uri, self.folders)
        return why_uri_ignored(uri, folder, patterns=self.settings_of(uri).ignore, language=language)

    def _signatures(self) -> list[Signature]:
        return [signature(folder) for folder in self._roots]

    @property
    def _roots(self) -> list[Path | None]:
        return [*self.folders] or [None]

    def _read(self) -> None:
        self._read_at = self._signatures()  # before the files: a change in between is seen the next time
        self._read_layers = [self._resolve(folder) for folder in self._roots]
        self.find_base()

    def _resolve(self, folder: Path | None) -> Resolved:
        layers, problems = read_layers(folder)
        own, theirs = _divided(self._client)
        client = [Layer(source="client", values=own), Layer(source="client", values=theirs, is_workspace=True)]
        layers = [*layers, *client, Layer(source="command", values=self._chosen)]
        found = resolve(layers)
        own_set = resolve([layer for layer in layers if not layer.is_workspace]).settings.adapter_set
        return replace(found, complaints=(*problems, *found.complaints), own_set=own_set)


def _divided(values: Any) -> tuple[Any, Any]:
    """The user's settings among a client's, and those of the folder."""
    if not isinstance(values, dict):
        return values, None
    return {name: value for name, value in values.items() if name != FOLDER_KEY}, values.get(FOLDER_KEY)


def _with_base(found: Resolved) -> Resolved:
    """The settings with a base in the place of `auto`; a workspace's set does not choose it, and has to fit it."""
    base, wanted = served_base(found.settings.base, found.own_set), found.settings.adapter_set
    try:
        if wanted != found.own_set:
            find_served_set(wanted, base)
    except SpaError as error:
        where = found.sources["adapter_set"]
        complaint = f"{where} asks for a set that is not served: {error.what}; the one in use is kept"
        kept = replace(found.settings, base=base, adapter_set=found.own_set)
        return replace(found, settings=kept, complaints=(*found.complaints, complaint))
    return replace(found, settings=replace(found.settings, base=base))


def section_of(values: Any) -> Any:
    """Our settings in what `workspace/didChangeConfiguration` carries: under our name, or all of it; None: none."""
    if not isinstance(values, dict):
        return values
    return next((values[name] for name in SECTIONS if values.get(name) is not None), values or None)


def first_section(answers: Sequence[Any]) -> dict[str, Any] | None:
    """Our settings in the answer to `workspace/configuration` for `SECTIONS`.

    The client's tree holds settings of its own extension beside ours, so what is unknown is left out without a word.
    """
    known = {*Settings.__dataclass_fields__, FOLDER_KEY}
    for answer in answers:
        if isinstance(answer, dict):
            return {name: value for name, value in answer.items() if to_snake_case(name) in known}
    return None


def _folders(params: types.InitializeParams) -> list[Path]:
    found = _paths([folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""])
    return found or ([Path(params.root_path)] if params.root_path else [])


def _paths(uris: Sequence[str]) -> list[Path]:
    return [Path(path) for uri in uris if (path := uri_path(uri))]
