"""How fast each base that was loaded here reads a prompt, in one small file in the cache: `base = auto` goes by it.

It holds the best figure of each, because a machine that was busy once is not a slow one.
"""

import json
import logging
import math
import platform

from spa_lsp import paths
from spa_lsp.bases.catalog import Base, load_catalog
from spa_lsp.storage.whole_files import written_whole

SPEEDS_NAME = "speeds.json"

logger = logging.getLogger(__name__)


def read_speeds() -> dict[str, float]:
    """Tokens of a prompt per second by base id; none when this is another machine, or the file cannot be read."""
    try:
        record = json.loads((paths.cache_dir() / SPEEDS_NAME).read_text(encoding="utf-8"))
        speeds = {str(base_id): float(speed) for base_id, speed in record["tokens_per_s"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}
    if not all(0 < speed < math.inf for speed in speeds.values()):  # so no NaN: no later figure would be better
        return {}
    return speeds if record.get("machine") == platform.node() else {}


def remember_speed(base_id: str, tokens_per_s: float) -> None:
    """This base read so many tokens of a prompt per second; kept when it is the best so far."""
    speeds = read_speeds()
    if tokens_per_s <= speeds.get(base_id, 0.0):
        return
    record = {"machine": platform.node(), "tokens_per_s": {**speeds, base_id: round(tokens_per_s, 1)}}
    try:
        with written_whole(paths.cache_dir() / SPEEDS_NAME) as unfinished:
            unfinished.write_text(json.dumps(record), encoding="utf-8")
    except OSError as error:  # it is measured again the next time
        logger.warning("cannot remember the speed of %s: %s", base_id, error.strerror)


def expected_speed(base: Base, speeds: dict[str, float]) -> float | None:
    """Tokens of a prompt per second: the best figure of any base, whose work goes with their parameters.

    Its own may be of a moment when the machine was busy; a base that is then no longer chosen is not measured again.
    """
    catalog = load_catalog()
    known = [catalog[base_id] for base_id in speeds if base_id in catalog]
    return max((speeds[other.id] * other.parameters / base.parameters for other in known), default=None)
