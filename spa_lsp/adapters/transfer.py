"""Moving adapter sets in and out, and checking all of one: what `spa-lsp adapters import | export | verify` do.

Nothing here chooses a set; that is `finding.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spa_lsp import paths
from spa_lsp.adapters import check, reading, writing
from spa_lsp.adapters.gguf_adapter import write_gguf
from spa_lsp.adapters.manifest import AdapterSet, with_name
from spa_lsp.adapters.peft_folder import with_note, without_note, write_peft_folder
from spa_lsp.adapters.server_export import served_name
from spa_lsp.adapters.tensor_file import read_shapes
from spa_lsp.bases.catalog import FLOATS_NAME, INT8_NAME, find_base, installed_base
from spa_lsp.errors import AdapterMismatch, BadInput, NotFound, SpaError

# formats that can run code when they are read; a set that brings one along is not to be trusted
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}

Shapes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class FileVerdict:
    """What a check found; `problem` is empty when the file is good."""

    file: str
    problem: str = ""


def import_set(source: Path, *, name: str | None = None, is_replacing: bool = False) -> AdapterSet:
    """Copy the set in a folder to where imported sets lie, under its own or another name, after checking all of it.

    Raises:
        BadInput: it brings a pickle, its name is taken, or a file cannot be used. NotFound, Damaged, TooNew,
        AdapterMismatch: as the checks say. Nothing is copied then, and an older set of the name stays.
    """
    _refuse_pickles(source)
    found = with_name(reading.read_set(source), name)
    target = paths.user_sets_dir() / found.base_id / found.name
    _refuse_taken_name(found, target, is_replacing=is_replacing)
    shapes = shapes_on_base(found)
    adapters = {info.name: reading.read_adapter(found, info.name) for info in found.adapters}
    for info in found.adapters:
        _check_named(info.file, adapters[info.name], found, shapes)
    card = without_note(reading.read_card(found))
    return writing.write_set(target, found, adapters, card=card, is_replacing=is_replacing)


def _refuse_pickles(folder: Path) -> None:
    pickles = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in PICKLE_SUFFIXES)
    if pickles:
        raise BadInput(f"{folder} has {pickles[0]}, a format that can run code; only safetensors are read, remove it")


def _refuse_taken_name(found: AdapterSet, target: Path, *, is_replacing: bool) -> None:
    if (paths.shipped_models_dir() / found.base_id / found.name / reading.MANIFEST_NAME).exists():
        raise BadInput(f"{found.name!r} is the name of a shipped set; pass --name with another one")
    if target.exists() and not is_replacing:
        raise BadInput(f"{found.name!r} was imported before ({target}); pass --replace, or --name with another one")


def shapes_on_base(adapter_set: AdapterSet) -> Shapes | None:
    """The tensors that its adapters must have on the base here; None when the base is not on this machine.

    Raises:
        AdapterMismatch: it was made for other weights, another tokenizer, or a base that the catalog does not have.
    """
    try:
        base = find_base(adapter_set.base_id)
    except NotFound as error:
        raise AdapterMismatch(f"adapter set {adapter_set.name!r} was made for a base unknown here: {error}") from None
    try:
        installed = installed_base(base)
    except NotFound:
        if base.sha256:
            check.check_base(adapter_set, base_id=base.id, base_sha256=base.sha256, tokenizer_sha256=None)
        return None
    check.check_base(
        adapter_set,
        base_id=installed.id,
        base_sha256=installed.weights_sha256,
        tokenizer_sha256=installed.tokenizer_sha256,
    )
    weights = installed.folder / (INT8_NAME if INT8_NAME in installed.files else FLOATS_NAME)
    return check.expected_shapes(adapter_set, check.base_linears(read_shapes(weights)))


def _check_named(file: str, data: bytes, adapter_set: AdapterSet, shapes: Shapes | None) -> None:
    try:
        check.check_adapter(data, adapter_set, shapes)
    except SpaError as error:
        raise type(error)(f"{file}: {error}") from None


def verify_set(adapter_set: AdapterSet) -> list[FileVerdict]:
    """Check the manifest against the base, and every file against the manifest; one verdict for each."""
    try:
        shapes = shapes_on_base(adapter_set)
        verdicts = [FileVerdict(file=reading.MANIFEST_NAME)]
    except SpaError as error:
        shapes = None
        verdicts = [FileVerdict(file=reading.MANIFEST_NAME, problem=str(error))]
    return [*verdicts, *(_verify_adapter(adapter_set, info.name, shapes) for info in adapter_set.adapters)]


def _verify_adapter(adapter_set: AdapterSet, name: str, shapes: Shapes | None) -> FileVerdict:
    file = f"{name}.safetensors"
    try:
        check.check_adapter(reading.read_adapter(adapter_set, name), adapter_set, shapes)
    except SpaError as error:
        return FileVerdict(file=file, problem=str(error))
    return FileVerdict(file=file)


def export_set(adapter_set: AdapterSet, folder: Path, *, is_peft: bool = False, is_gguf: bool = False) -> None:
    """Write a set as a new folder, for `peft` with one sub-folder per adapter that `PeftModel.from_pretrained` reads.

    For `gguf` with a file per adapter that llama-server reads, by the name that it is asked for there.

    Raises:
        BadInput: the folder exists, or `gguf` cannot be written for this base. Damaged: a file of the set is not what
        it should be. NotFound: for `peft`, the base is not in the catalog or not on this machine. Nothing is written
        then.
    """
    adapters = {info.name: reading.read_adapter(adapter_set, info.name) for info in adapter_set.adapters}
    card = reading.read_card(adapter_set)
    with writing.finished_folder(folder) as unfinished:
        writing.write_files(unfinished, adapter_set, adapters, with_note(card, adapter_set) if is_peft else card)
        for name, data in adapters.items() if is_peft else ():
            write_peft_folder(unfinished / name, adapter_set, data)
        for name, data in adapters.items() if is_gguf else ():
            write_gguf(unfinished / f"{served_name(adapter_set, name)}.gguf", adapter_set, data)
