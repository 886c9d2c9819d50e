"""Notebooks as the client sees them: which cells, in which order, and the program that cells of one language are.

The cells' texts are documents as any others. Markdown is left out of a program: its prose, its tables and its embedded
pictures would take the room of the code, and no rule could tell them from it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lsprotocol import types

from spa_lsp.server.documents import Document, Documents
from spa_lsp.text.ipython import cell_language

logger = logging.getLogger(__name__)

AROUND_CHARS = 100_000  # of other cells, on each side; no window is larger, whatever the settings
GAP = "\n\n"  # between two cells


@dataclass(frozen=True, kw_only=True)
class Program:
    """The text that is completed when the cursor is in a document: all of a program, of which a cell is a part."""

    document: Document  # with the text of other cells around its own
    start: int = 0  # where its own begins


@dataclass
class Notebook:
    """One open notebook."""

    version: int
    cells: list[str]  # the URIs of their documents, in the notebook's order
    is_desynced: bool = False  # a change of its cells was lost: their order is not the client's


class Notebooks:
    """All open notebooks; what their cells hold is in `documents`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._notebooks: dict[str, Notebook] = {}

    def open(self, params: types.DidOpenNotebookDocumentParams) -> None:
        """The client opened one, or sends it afresh."""
        opened = params.notebook_document
        self.close(opened.uri)
        cells = [cell.document for cell in opened.cells]
        self._notebooks[opened.uri] = Notebook(version=opened.version, cells=cells)
        for item in params.cell_text_documents:
            self._documents.open(item, notebook=opened.uri)

    def close(self, uri: str) -> None:
        """The client closed it, and with it its cells."""
        for cell in self.cells(uri):
            self._documents.close(cell)
        self._notebooks.pop(uri, None)

    def cells(self, uri: str) -> tuple[str, ...]:
        """The URIs of a notebook's cells; none of one that is not open."""
        notebook = self._notebooks.get(uri)
        return tuple(notebook.cells) if notebook else ()

    def distrust(self, uri: str) -> None:
        """A change was lost: neither the cells' order nor their texts are used until the client sends them afresh."""
        if notebook := self._notebooks.get(uri):
            notebook.is_desynced = True
        for cell in self.cells(uri):
            self._documents.distrust(cell)

    def change(self, params: types.DidChangeNotebookDocumentParams) -> None:
        """Cells come, go or move, or their texts change; the versions of texts are their documents' own."""
        uri, cells = params.notebook_document.uri, params.change.cells
        notebook = self._notebooks.get(uri)
        if notebook is None:
            logger.warning("ignored a change of a notebook that is not open")
        elif cells is not None:
            if cells.structure:
                self._restructure(uri, notebook, params.notebook_document.version, cells.structure)
            for content in cells.text_content or ():
                self._documents.change(content.document.uri, content.document.version, content.changes)

    def _restructure(
        self, uri: str, notebook: Notebook, version: int, change: types.NotebookDocumentCellChangeStructure
    ) -> None:
        """The texts of cells come and go even when their order is not known any more."""
        start, end = change.array.start, change.array.start + change.array.delete_count
        # the version stays the same where a cell's text or language alone has changed
        if version < notebook.version or end > len(notebook.cells):
            logger.warning("a change of a notebook's cells does not fit: they are completed one by one")
            notebook.is_desynced = True
        else:
            notebook.version = version
            notebook.cells[start:end] = [cell.document for cell in change.array.cells or ()]
        for closed in change.did_close or ():  # first: a cell that has another language is closed and opened
            self._documents.close(closed.uri)
        for item in change.did_open or ():
            self._documents.open(item, notebook=uri)

    def program(self, document: Document) -> Program:
        """What a document is a part of: the cells of its language around it, as far as a window may reach."""
        notebook = self._notebooks.get(document.notebook)
        language = cell_language(document.text, document.language) if document.notebook else document.language
        document = replace(document, language=language)
        if notebook is None or notebook.is_desynced or document.uri not in notebook.cells:
            return Program(document=document)
        place = notebook.cells.index(document.uri)
        before = self._join(reversed(notebook.cells[:place]), language, is_before=True)
        behind = self._join(notebook.cells[place + 1 :], language, is_before=False)
        return Program(document=replace(document, text=before + document.text + behind), start=len(before))

    def _join(self, cells: Iterable[str], language: str, *, is_before: bool) -> str:
        """The texts of these cells, the nearest given first, until there is enough."""
        parts: list[str] = []
        room = AROUND_CHARS
        for uri in cells:
            document = self._documents.get(uri)
            if document is None or document.is_desynced:
                continue
            text = document.text[-room:] if is_before else document.text[:room]
            if text.strip() and cell_language(document.text, document.language) == language:
                parts.append(text.strip("\r\n") + GAP if is_before else GAP + text.strip("\r\n"))
                room -= len(parts[-1])
            if room <= 0:
                break
        return "".join(reversed(parts) if is_before else parts)
