"""Fixtures of the rooms whose commands are tried here."""

from tests.trainer.evaluate.benchmarks.tiny_benchmarks import tiny_data  # noqa: F401
from tests.trainer.evaluate.conftest import backends, data_dir  # noqa: F401
from tests.trainer.report.conftest import export, font_cache, report  # noqa: F401
from tests.trainer.synthesize.conftest import benchmarks_read_once, make_repository, project  # noqa: F401
