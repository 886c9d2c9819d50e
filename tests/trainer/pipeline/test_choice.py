"""How a run divides where nobody said how. (#14)"""

from trainer.configs import AttributeConfig, PartitionConfig
from trainer.data.samples import Sample
from trainer.pipeline.choice import choose_ways, method_without_gradients
from trainer.pipeline.request import RunRequest

LOOPS, PROSE = "```python\ndef f(a):\n    for b in a:\n        print(b)\n```", "Nothing that a loop could do."


def samples(*problems, solution=LOOPS):
    return [Sample(id=f"{n}", lang="python", problem=p, solution=solution) for n, p in enumerate(problems)]


def choose(found, k=3, **asked):
    request = RunRequest(attribute=AttributeConfig(**asked), partition=PartitionConfig(k=k))
    chosen, why = choose_ways(found, request)
    return chosen.attribute.method, chosen.partition.method, chosen.partition.k, why.split(":")[0]


def test_tasks_with_several_solutions_are_divided_by_solution():
    found = choose(samples("a", "a", "b", "b", "c"))
    assert found == ("approach", "solutions", 3, "2 of 3 tasks have several solutions")


def test_where_half_of_the_tasks_have_one_solution_influence_divides():
    found = choose(samples("a", "a", "b"), differences=True)
    assert found == ("datainf", "balanced", 3, "1 of 2 tasks have several solutions")


# #15
def test_for_one_adapter_nothing_is_divided():
    found = choose(samples("a", "a", "b", "b"), k=1)
    assert found == ("random", "whole", 1, "one adapter learns from all samples")


def test_solutions_that_are_no_code_cannot_be_told_apart_by_approach():
    assert choose(samples("a", "a", solution=PROSE))[:2] == ("datainf", "balanced")


def test_most_samples_say_whether_they_are_told_apart_by_approach_or_by_words():
    made = [*samples("p", solution=PROSE), *samples("q", "r", "s")]
    assert (method_without_gradients(made), method_without_gradients(made[:2])) == ("approach", "bm25")
