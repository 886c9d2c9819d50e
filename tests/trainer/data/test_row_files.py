"""JSONL, Parquet and folders of data sets are read alike, and no file's size shows in the memory."""

import json
import tracemalloc

import pytest
from sqlite_utils import Database

from spa_lsp.errors import BadInput, NotFound
from trainer.data.row_files import json_lines, row_files
from trainer.data.samples import import_file, load_samples
from trainer.rows.tables import MIGRATIONS

# the fields of Magicoder's own file
ROWS = [
    {
        "lang": lang,
        "raw_index": n,
        "index": n,
        "seed": f"x = {n}",
        "openai_fingerprint": "fp",
        "problem": f"problem {n}",
        "solution": f"solution {n}",
    }
    for n, lang in enumerate(("python", "rust", "cpp", "java", "csharp", "php", "typescript", "swift", "shell"))
]


@pytest.fixture
def db():
    database = Database(memory=True)
    MIGRATIONS.apply(database)
    return database


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow", reason="the extra `hub` is not installed")


def write_lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def write_parquet(path, rows):
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def write_arrow(path, rows):
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def problems(db):
    return [sample.problem for sample in load_samples(db, language=None)]


def test_magicoders_own_rows_are_read_unchanged_in_all_nine_languages(db, tmp_path):
    assert import_file(db, write_lines(tmp_path / "a.jsonl", ROWS)).n_new == 9
    assert [sample.lang for sample in load_samples(db, language=None)] == [row["lang"] for row in ROWS]
    assert json.loads(next(db.table("samples").rows)["extra"])["seed"] == "x = 0"


def test_a_parquet_file_has_the_same_samples(arrow, db, tmp_path):
    assert import_file(db, write_parquet(tmp_path / "a.parquet", ROWS)).n_new == 9
    assert problems(db) == [row["problem"] for row in ROWS]


def test_a_folder_of_parquet_files_is_one_data_set(arrow, db, tmp_path):
    write_parquet(tmp_path / "set" / "data" / "train-1.parquet", ROWS[5:])
    write_parquet(tmp_path / "set" / "data" / "train-0.parquet", ROWS[:5])
    import_file(db, tmp_path / "set")
    assert problems(db) == [row["problem"] for row in ROWS] and db.table("datasets").count == 1


def test_a_data_set_that_was_saved_to_disk_is_read(arrow, db, tmp_path):
    write_arrow(tmp_path / "set" / "train" / "data-00000-of-00001.arrow", ROWS)
    (tmp_path / "set" / "train" / "state.json").write_text("{}")
    assert import_file(db, tmp_path / "set").n_new == 9


def test_a_row_that_lacks_a_field_is_named_by_its_number(arrow, db, tmp_path):
    rows = [{**ROWS[0]}, {**ROWS[1], "solution": None}]
    report = import_file(db, write_parquet(tmp_path / "a.parquet", rows))
    assert [(bad.line, bad.reason) for bad in report.bad] == [(2, "field 'solution' is not text but NoneType")]


def test_a_file_that_only_says_it_is_parquet_is_refused(arrow, db, tmp_path):
    with pytest.raises(BadInput, match="no parquet file that can be read"):
        import_file(db, write_lines(tmp_path / "a.parquet", ROWS))


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(BadInput, match="has no"):
        row_files(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match="missing"):
        row_files(tmp_path / "missing")


def peak_bytes(path):
    tracemalloc.start()
    for _ in json_lines([path]):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_file(tmp_path):
    small, large = (write_lines(tmp_path / f"{n}.jsonl", n * ROWS) for n in (20, 400))
    assert peak_bytes(large) < 1.5 * peak_bytes(small) + 50_000
