from dataclasses import replace

from tests.fakes import make_alternative
from trainer.evaluate.benchmarks.problems import anchor_back
from trainer.evaluate.views import raw_view, shown_view


def shown(problem, text, **changes):
    return shown_view(problem, replace(make_alternative(text), **changes))


def test_whole_lines_stay_whole_in_both_views(problem):
    text = "    result = sum(numbers)\n"
    assert raw_view(problem, make_alternative(text)).completion == text
    assert shown(problem, text).completion == text
    assert problem.program(text) == shown(problem, text).candidate(problem).program


def test_a_line_that_the_suffix_has_is_shown_once(problem):
    text = "    result = sum(numbers)\n    return result\n"
    assert shown(problem, text).completion == "    result = sum(numbers)\n"
    assert raw_view(problem, make_alternative(text)).completion == text


def test_a_line_that_broke_off_is_not_shown(problem):
    assert shown(problem, "    result = 1\n    res", finish="length").completion == "    result = 1\n"
    assert shown(problem, "    result = 1\n    res", finish="stop").completion == "    result = 1\n    res\n"


def test_the_end_of_a_file_needs_no_line_end(problem):
    at_end = replace(problem, suffix="")
    assert shown(at_end, "    return sum(numbers)\n").completion == "    return sum(numbers)"


def test_nothing_to_insert_leaves_the_gap_open(problem):
    assert shown(problem, "  \n").completion == ""


def test_a_disabled_adapter_has_no_program(problem):
    view = shown(problem, "", finish="disabled")
    assert view.completion is None and view.candidate(problem).program is None


def test_of_an_answer_the_code_is_judged_and_all_of_it_compared_raw(problem):
    task = replace(problem, layout="instruct", prefix="", suffix="")
    answer = "Sure:\n```python\ndef total(numbers):\n    return sum(numbers)\n```\nIt adds."
    view = raw_view(task, make_alternative(answer))
    assert (view.text, view.completion) == (answer, shown(task, answer).text)
    assert "Sure" not in view.completion and "return sum(numbers)" in view.completion


def test_an_answer_to_a_question_is_no_program(problem):
    question = replace(problem, layout="choice", prefix="", suffix="")
    view = shown(question, "B. Because\n```x```")
    assert (view.completion, view.candidate(question).program) == ("B. Because\n```x```", None)


def test_an_anchored_gap_is_shown_as_one_that_is_not(problem):
    text = "    result = 0\n    for number in numbers:\n        result += number\n    return result\n"
    assert shown(anchor_back(problem, most=20), text).completion == shown(problem, text).completion == problem.solution
