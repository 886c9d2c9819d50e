"""What the model is shown of other files, gathered within some milliseconds and then kept while the user types.

The pieces stand first in the prompt, so each change of them costs the keys and values of all that follows: they change
when the cursor goes elsewhere, an import is added or a chunk comes into the ring, not at every key.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa_lsp.completion import ContextPiece
from spa_lsp.prompt import clean_text
from spa_lsp.server.changes import find_changes
from spa_lsp.server.chunk_ring import Chunk, ChunkRing, chunk_at, pick
from spa_lsp.server.context import plain_text
from spa_lsp.server.documents import Document
from spa_lsp.server.imports import MAX_FILES, Declarations, Import, find_file, find_imports
from spa_lsp.text.languages import suffix_of
from spa_lsp.text.site import Site
from spa_lsp.workspace.folders import folder_of
from spa_lsp.workspace.ignores import is_for_context, uri_path

BUDGET_S = 0.02  # of each request; what takes longer is there for the next one
FAR_LINES = 32  # llama.vim's: so far the cursor must go for its old place to become a chunk
IMPORT_CHARS = 20_000  # of a document in which imports and the names used of them are looked for
_KEPT_DOCUMENTS = 16


@dataclass(frozen=True, kw_only=True)
class _Key:
    """What the pieces of a document depend on."""

    folder: Path | None  # the workspace's, which it lies in
    imports: tuple[Import, ...]
    ring_version: int
    stretch: int  # which stretch of `FAR_LINES` lines the cursor is in
    n_chars: int
    n_diff_chars: int
    n_saved: int  # what has changed changes with a save; what is done to it elsewhere is seen with the next one


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A piece and where it comes from."""

    uri: str
    piece: ContextPiece


class Neighbours:
    """What was seen of other files. `folders` are the workspace's; what is ignored, by its URI, is never read."""

    def __init__(self, folders: Callable[[], Sequence[Path]], is_ignored: Callable[[str], bool]) -> None:
        self.ring = ChunkRing()
        self._folders = folders
        self._is_ignored = is_ignored
        self._declarations = Declarations()
        self._found: dict[str, tuple[_Key, tuple[_Found, ...]]] = {}
        self._gathering: dict[str, tuple[_Key, asyncio.Future[tuple[_Found, ...]]]] = {}
        self._last: tuple[Document, int] | None = None  # where the user was asked for last
        self._n_saved = 0

    async def pieces(
        self, document: Document, cursor: int, site: Site, *, n_chars: int, n_diff_chars: int = 0
    ) -> tuple[ContextPiece, ...]:
        """What to show beside this text; the last that is known when it takes too long."""
        if not n_chars and not n_diff_chars:
            return ()
        self.visit(document, cursor)
        key = self._key(document, cursor, n_chars, n_diff_chars)
        if self._found.get(document.uri, (None,))[0] != key:
            await asyncio.to_thread(self._drop_ignored)
            if not key.imports and not self.ring.chunks and not n_diff_chars:
                return ()
            gathering = self._gather(document, key, site)
            await asyncio.wait({gathering}, timeout=BUDGET_S)
        found = self._found.get(document.uri, (None, ()))[1]
        return await asyncio.to_thread(self._shown, found)

    def opened(self, document: Document) -> None:
        """A document was opened: its beginning may be of use to others."""
        self._take(document, 0)

    def saved(self, document: Document) -> None:
        """A document was saved: where the user was in it is worth remembering."""
        self._n_saved += 1
        if self._last and self._last[0].uri == document.uri:
            self._take(document, min(self._last[1], len(document.text)))

    def visit(self, document: Document, cursor: int) -> None:
        """The user is here now; where he was before becomes a chunk if that is elsewhere."""
        if self._last is not None:
            last, place = self._last
            is_far = abs(_line(document.text, cursor) - _line(last.text, place)) >= FAR_LINES
            if last.file_uri != document.file_uri or is_far:
                self._take(last, place)
        self._last = (document, cursor)

    def closed(self, uri: str) -> None:
        """A document was closed: what was seen of it stays of use, what was gathered for it does not."""
        self._found.pop(uri, None)

    def label(self, uri: str, language: str = "") -> str:
        """How a document is called: its path in the workspace, or its name; a notebook as the program that it holds."""
        path = Path(uri_path(uri) or uri.rpartition("/")[2])
        folder = folder_of(uri, self._folders()) if uri_path(uri) else None
        if path.suffix == ".ipynb" and (suffix := suffix_of(language)):
            path = path.with_suffix(suffix)
        return path.relative_to(folder).as_posix() if folder else path.name

    def _shown(self, found: tuple[_Found, ...]) -> tuple[ContextPiece, ...]:
        """In a thread, as wherever it is asked what is ignored: something may have become so."""
        return tuple(each.piece for each in found if not self._is_ignored(each.uri))

    def _drop_ignored(self) -> None:
        ignored = {chunk.uri for chunk in self.ring.chunks if self._is_ignored(chunk.uri)}
        if ignored:
            self.ring.drop(ignored)

    def _own_folders(self, document: Document) -> list[Path]:
        """The folder that the document lies in: what lies in others belongs to other projects."""
        folder = folder_of(document.file_uri, self._folders())
        return [folder] if folder else []

    def _take(self, document: Document, cursor: int) -> None:
        if not document.is_desynced and is_for_context(document.file_uri):
            text = plain_text(chunk_at(document.text, cursor))
            self.ring.add(Chunk(uri=document.file_uri, language=document.language, text=text))

    def _key(self, document: Document, cursor: int, n_chars: int, n_diff_chars: int) -> _Key:
        folder = folder_of(document.file_uri, self._folders())
        is_python = document.language == "python" and uri_path(document.file_uri) and folder
        return _Key(
            folder=folder,
            imports=tuple(find_imports(_other_lines(document.text, cursor))) if is_python else (),
            ring_version=self.ring.version,
            stretch=_line(document.text, cursor) // FAR_LINES,
            n_chars=n_chars,
            n_diff_chars=n_diff_chars,
            n_saved=self._n_saved if n_diff_chars else 0,
        )

    def _gather(self, document: Document, key: _Key, site: Site) -> "asyncio.Future[tuple[_Found, ...]]":
        running_key, running = self._gathering.get(document.uri, (None, None))
        if running is not None and running_key == key:
            return running
        future = asyncio.ensure_future(asyncio.to_thread(self._find, document, key, site, self.ring.chunks))
        self._gathering[document.uri] = (key, future)
        future.add_done_callback(lambda done: self._keep(document.uri, key, done))
        return future

    def _keep(self, uri: str, key: _Key, done: "asyncio.Future[tuple[_Found, ...]]") -> None:
        if self._gathering.get(uri, (None,))[0] == key:
            del self._gathering[uri]
        if not done.cancelled() and not done.exception():
            self._found.pop(uri, None)
            self._found[uri] = (key, done.result())
            if len(self._found) > _KEPT_DOCUMENTS:
                del self._found[next(iter(self._found))]

    def _find(self, document: Document, key: _Key, site: Site, chunks: Sequence[Chunk]) -> tuple[_Found, ...]:
        """Reads files: not for the event loop. What changes least comes first; declarations get half the room."""
        declared = self._declared(document, key.imports, key.n_chars // 2)
        room = key.n_chars - sum(len(each.piece.text) for each in declared)
        folders = self._own_folders(document)
        chunks = [chunk for chunk in chunks if self._is_near(chunk.uri, folders) and not self._is_ignored(chunk.uri)]
        near = site.prefix[-800:] + site.suffix[:800]
        shown = site.prefix + site.suffix
        picked = pick(chunks, language=document.language, window=shown, near=near, n_chars=room)
        near_by = (self._as_found(each.uri, each.text, language=each.language) for each in picked)
        return (*declared, *near_by, *self._changed(document, key))

    def _is_near(self, uri: str, folders: Sequence[Path]) -> bool:
        return folder_of(uri, self._folders()) == (folders[0] if folders else None)

    def _changed(self, document: Document, key: _Key) -> list[_Found]:
        """Diffs of other files: of the document itself the model sees how it is now."""
        if not key.n_diff_chars:
            return []

        def is_wanted(path: Path) -> bool:
            return str(path) != uri_path(document.file_uri) and not self._is_ignored(path.as_uri())

        changes = find_changes(self._own_folders(document), n_chars=key.n_diff_chars, is_wanted=is_wanted)
        return [self._as_found(each.path.as_uri(), each.text, suffix=".diff") for each in changes]

    def _as_found(self, uri: str, text: str, *, language: str = "", suffix: str = "") -> _Found:
        return _Found(uri=uri, piece=ContextPiece(path=self.label(uri, language) + suffix, text=clean_text(text)))

    def _declared(self, document: Document, imports: Sequence[Import], n_chars: int) -> list[_Found]:
        path, folders = Path(uri_path(document.file_uri) or ""), self._own_folders(document)
        pieces: dict[Path, str] = {}
        for imported in imports:
            found = find_file(imported, path, folders)
            if found is None or len(pieces) >= MAX_FILES or self._is_ignored(found.as_uri()):
                continue
            known = self._declarations.of(found)
            for name in imported.names:
                text = known.get(name, "")
                if text and text not in pieces.get(found, "") and sum(map(len, pieces.values())) + len(text) < n_chars:
                    pieces[found] = f"{pieces[found]}\n{text}" if found in pieces else text
        return [self._as_found(each.as_uri(), text) for each, text in pieces.items()]


def _other_lines(text: str, cursor: int) -> str:
    """The beginning of a text without the cursor's line, on which names are not yet what they will be."""
    start, end = text.rfind("\n", 0, cursor) + 1, text.find("\n", cursor)
    return (text[:start] + (text[end:] if end >= 0 else ""))[:IMPORT_CHARS]


def _line(text: str, cursor: int) -> int:
    return text.count("\n", 0, cursor)
