import dataclasses
import gzip
import random

import pytest

from spa_lsp.errors import Damaged, NotFound
from trainer.evaluate.benchmarks.load import load_benchmark
from trainer.evaluate.benchmarks.problems import FILES, FOLDER, Problem, anchor_back, in_rounds, read_infilling
from trainer.evaluate.completions import problem_id


def n_lines(text):
    return len([line for line in text.split("\n") if line.strip()])


def test_sixty_multi_line_problems_come_from_sixty_tasks_with_middles_of_two_to_eight_lines(data_dir):
    problems = load_benchmark("infilling-multi", data_dir, limit=60)
    assert len({problem.task_id.split("/")[2] for problem in problems}) == 60
    assert {n_lines(problem.solution) for problem in problems} <= set(range(2, 9))


def test_single_line_problems_have_middles_of_one_line(data_dir):
    problems = load_benchmark("infilling-single", data_dir, limit=164)
    assert {n_lines(problem.solution) for problem in problems} == {1}


def test_a_problem_with_its_solution_is_a_program(data_dir):
    [problem] = load_benchmark("infilling-multi", data_dir, limit=1)
    assert problem.program(problem.solution) == problem.prefix + problem.solution + problem.suffix
    compile(problem.program(problem.solution), "program", "exec")


def test_a_missing_folder_names_how_to_get_the_files(tmp_path):
    with pytest.raises(NotFound, match=r"openai/human-eval-infilling.*SPA_DATA"):
        read_infilling(tmp_path, "multi")


def test_another_file_is_refused_with_both_hashes(tmp_path):
    path = tmp_path / FOLDER / FILES["multi"][0]
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(Damaged, match=rf"sha256 [0-9a-f]{{64}}, expected {FILES['multi'][1]}"):
        read_infilling(tmp_path, "multi")


@pytest.fixture
def many(problem):
    """Twelve problems of four tasks, in no order."""
    gap = dataclasses.replace(problem, benchmark="infilling-multi")
    many = [dataclasses.replace(gap, task_id=f"Own/{n // 3}/L{n % 3}") for n in range(12)]
    return random.Random(0).sample(many, 12)


def tasks(problems):
    return sorted(item.task_id.split("/")[1] for item in problems)


def test_each_round_takes_one_problem_of_each_task(many):
    ordered = in_rounds(many, seed=0)
    assert [tasks(ordered[n : n + 4]) for n in (0, 4, 8)] == [["0", "1", "2", "3"]] * 3


def test_the_rounds_go_through_all_problems_once(many):
    assert sorted(in_rounds(many, seed=0), key=many.index) == many


def test_tasks_of_fewer_problems_leave_their_turn_to_the_others(many):
    few = [problem for problem in many if problem.task_id not in ("Own/0/L0", "Own/0/L1")]
    assert tasks(in_rounds(few, seed=0)[4:]) == ["1", "1", "2", "2", "3", "3"]


def test_the_same_seed_draws_the_same_and_another_one_another(many):
    assert in_rounds(many, seed=3) == in_rounds(many, seed=3) != in_rounds(many, seed=4)


def test_the_id_of_a_problem_is_what_stores_have_and_changes_with_all_it_says():
    problem = Problem(task_id="t/0", solution="return 1")
    assert problem_id(problem).startswith("683078800ba3")
    others = [dataclasses.replace(problem, **{name: "x"}) for name in ("prefix", "test", "instruction", "begun")]
    assert len({problem_id(each) for each in (problem, *others)}) == 5


def test_an_anchored_problem_is_the_same_program_with_its_anchor_some_characters_back(problem):
    found = {anchor_back(dataclasses.replace(problem, task_id=f"t/{n}"), most=12).begun for n in range(99)}
    anchored = anchor_back(problem, most=12)
    assert {len(begun) for begun in found} == set(range(5, 13))
    assert anchored.program(problem.solution) == problem.program(problem.solution)
    assert problem_id(anchored) != problem_id(problem)


def test_only_infillings_are_anchored(problem):
    asked = dataclasses.replace(problem, layout="instruct", begun="Here:")
    assert anchor_back(asked, most=12) == asked and asked.before == asked.prefix
