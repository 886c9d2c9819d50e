import dataclasses
import gzip
import random

import pytest

from spa_lsp.errors import BadInput, Damaged, NotFound
from trainer.evaluate.attempts import problem_id
from trainer.evaluate.benchmarks.problems import FILES, FOLDER, Problem, anchor_back, choose, load_infilling


def n_lines(text):
    return len([line for line in text.split("\n") if line.strip()])


def test_sixty_multi_line_problems_come_from_sixty_tasks_with_middles_of_two_to_eight_lines(data_dir):
    problems = load_infilling(data_dir)
    assert len({problem.task_id.split("/")[2] for problem in problems}) == 60
    assert {n_lines(problem.solution) for problem in problems} <= set(range(2, 9))


def test_single_line_problems_have_middles_of_one_line(data_dir):
    problems = load_infilling(data_dir, "single", n=164)
    assert {n_lines(problem.solution) for problem in problems} == {1}


def test_the_selection_is_the_one_of_the_published_baseline(data_dir):
    # the middles' lengths and empty suffixes of the 60 problems that earlier measurements of the base used
    problems = load_infilling(data_dir)
    lengths = [n_lines(problem.solution) for problem in problems]
    assert [lengths.count(n) for n in (2, 3, 5, 7)] == [28, 14, 7, 5]
    assert len([problem for problem in problems if not problem.suffix.strip()]) == 24


def test_the_same_seed_chooses_the_same_and_another_one_another(data_dir):
    assert load_infilling(data_dir, n=20, seed=3) == load_infilling(data_dir, n=20, seed=3)
    assert load_infilling(data_dir, n=20, seed=3) != load_infilling(data_dir, n=20, seed=4)


def test_a_problem_with_its_solution_is_a_program(data_dir):
    problem = load_infilling(data_dir, n=1)[0]
    assert problem.program(problem.solution) == problem.prefix + problem.solution + problem.suffix
    compile(problem.program(problem.solution), "program", "exec")


def test_a_missing_folder_names_how_to_get_the_files(tmp_path):
    with pytest.raises(NotFound, match=r"openai/human-eval-infilling.*SPA_DATA"):
        load_infilling(tmp_path)


def test_another_file_is_refused_with_both_hashes(tmp_path):
    path = tmp_path / FOLDER / FILES["multi"][0]
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(Damaged, match=rf"sha256 [0-9a-f]{{64}}, expected {FILES['multi'][1]}"):
        load_infilling(tmp_path)


def test_more_problems_than_tasks_is_bad_input(problem):
    with pytest.raises(BadInput, match="cannot choose 2 problems: there are 1 tasks"):
        choose([problem, dataclasses.replace(problem, task_id="Own/total/L1_L2")], n=2, seed=0)


def test_choosing_takes_one_problem_of_each_task(problem):
    many = [dataclasses.replace(problem, task_id=f"Own/{n // 3}/L{n % 3}") for n in range(12)]
    random.Random(0).shuffle(many)
    assert sorted(item.task_id.split("/")[1] for item in choose(many, n=4, seed=0)) == ["0", "1", "2", "3"]


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
