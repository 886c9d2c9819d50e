"""What a run keeps of each sample and query, a gradient or an embedding, as rows of the table `gradients`. No torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from trainer.rows.stages import AttributeRun

Vector = NDArray[np.float32]  # [L, P]


def load_vectors(db: Database, run: AttributeRun) -> dict[str, Vector]:
    """What the run has written, by key: a sample's id, or `query:` and an anchor item's."""
    rows = db.query("SELECT sample_id, data FROM gradients WHERE run_id = ?", [run.id])
    return {row["sample_id"]: _unpack(row["data"]) for row in rows}


def write_vectors(db: Database, run: AttributeRun, vectors: Mapping[str, Vector]) -> dict[str, Vector]:
    """Write a block, all or nothing; what comes back is what will be read."""
    packed = {key: _pack(vector) for key, vector in vectors.items()}
    with db.atomic():
        rows = ({"run_id": run.id, "sample_id": key, "data": data} for key, data in packed.items())
        db.table("gradients").insert_all(rows, replace=True)
    return {key: _unpack(data) for key, data in packed.items()}


def _pack(vector: Vector) -> bytes:
    """float16 with its shape in front, two 32-bit numbers."""
    return np.array(vector.shape, dtype="<i4").tobytes() + vector.astype("<f2").tobytes()


def _unpack(data: bytes) -> Vector:
    shape = tuple(np.frombuffer(data, dtype="<i4", count=2))
    return np.frombuffer(data, dtype="<f2", offset=8).reshape(shape).astype(np.float32)
