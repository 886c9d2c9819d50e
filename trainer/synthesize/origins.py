"""Whose the synthesized samples are: the run and the seed that each says it is of. Only reads.

Not by the data set: other runs' data sets have a sample, too, where they found its task there.
"""

from collections.abc import Sequence

from sqlite_utils import Database

# samples that a run here has made; an imported row may name a run of another store
ORIGINS = (
    "SELECT samples.id AS sample_id, runs.id AS run_id, json_extract(extra, '$.origin.seed_snippet') AS seed_id,"
    " json_extract(extra, '$.origin.repository') AS repository, json_extract(extra, '$.origin.path') AS path,"
    " json_extract(extra, '$.origin.licence') AS licence"
    " FROM samples JOIN runs ON runs.id = json_extract(extra, '$.origin.run') AND stage = 'synthesize'"
)
# seeds and samples alike: a seed has no row while its samples wait for the run to go on
_PLACES = (
    "SELECT run_id, id AS seed_id, repository, path FROM seed_snippets"
    f" UNION SELECT run_id, seed_id, repository, path FROM ({ORIGINS})"
)


def places(db: Database) -> list[dict[str, str]]:
    """Run, seed, repository and path of all that samples were made of, or tried to be."""
    return list(db.query(_PLACES))


def samples_of(db: Database, seeds: Sequence[tuple[str, str]]) -> list[str]:
    """Ids of the samples that these seeds gave, each named by its run and id."""
    wanted = set(seeds)
    rows = db.query(f"SELECT sample_id, run_id, seed_id FROM ({ORIGINS})")
    return [row["sample_id"] for row in rows if (row["run_id"], row["seed_id"]) in wanted]
