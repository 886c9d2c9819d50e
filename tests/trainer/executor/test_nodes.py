"""A cluster of two nodes that was there before, one of which leaves. (#16)"""

import pytest

from spa_lsp import paths
from tests.trainer.executor.test_ray import attribute, clean, digest_after  # noqa: F401
from trainer.cli import options
from trainer.executor.on_ray import Ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("tiny_base")]


@pytest.fixture
def nodes(has_ray):
    """A head, and the node that may leave."""
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()  # of another module
    small = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    yield cluster, cluster.add_node(**small)
    ray.shutdown()
    cluster.shutdown()


def test_a_node_that_leaves_loses_nothing_and_doubles_nothing(nodes, attribute, monkeypatch):  # noqa: F811
    cluster, second = nodes
    left = []

    class LosesNode(Ray):
        def run(self, work, pieces, take):
            def take_and_leave(rows):
                take(rows)
                if len(pieces) > 1 and not left:
                    left.append(second)
                    cluster.remove_node(second)

            super().run(work, pieces, take_and_leave)

    monkeypatch.setattr(options, "Ray", LosesNode)
    before = paths.store_path().read_bytes()
    expected = digest_after(attribute)
    clean(before)
    found = digest_after(attribute, "--executor", "ray", "--ray-address", cluster.address, "--workers", 2)
    assert found == expected and left
