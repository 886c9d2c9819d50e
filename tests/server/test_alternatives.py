from dataclasses import replace

from spa_lsp.server.alternatives import CACHED_ANSWERS, Answer, AnswerCache, Question, choose
from spa_lsp.server.context import Window
from tests.fakes import make_alternative

WINDOW = Window(prefix="def add(a, b):\n    ", suffix="\n\n\nadd(1, 2)\n")
ANSWER = Answer(adapter_set="s", alternatives=())


def chosen(*texts, window=WINDOW):
    return choose([make_alternative(text, index) for index, text in enumerate(texts)], window, "python")


def question(n=0, uri="u"):
    return Question(uri=uri, version=n, start=0, end=0)


def test_alternatives_keep_their_order_and_their_adapter():
    assert [(each.adapter, each.index) for each in chosen("return a + b", "return sum([a, b])")] == [
        ("a1", 0),
        ("a2", 1),
    ]


def test_of_equal_programs_the_first_is_shown():
    texts = [each.text for each in chosen("c = a + b\n    return c", "d = a + b  # sum\n    return d", "return a + b")]
    assert texts == ["c = a + b\n    return c", "return a + b"]


def test_texts_are_polished_and_empty_ones_left_out():
    assert [each.text for each in chosen("return a + b\n\n\nadd(1, 2)\nmore", " \n", "")] == ["return a + b"]


def test_a_disabled_adapters_alternative_is_not_shown():
    assert choose([replace(make_alternative("return a"), finish="disabled")], WINDOW, "python") == []


def test_an_answer_is_kept_for_its_question():
    cache = AnswerCache()
    cache.put(question(1), ANSWER)
    assert cache.get(question(1)) is ANSWER and cache.get(question(2)) is None


def test_the_oldest_answers_go():
    cache = AnswerCache()
    for n in range(CACHED_ANSWERS + 1):
        cache.put(question(n), ANSWER)
    assert cache.get(question(0)) is None and cache.get(question(1)) is ANSWER


def test_the_answers_of_a_closed_document_are_forgotten():
    cache = AnswerCache()
    cache.put(question(uri="a"), ANSWER)
    cache.put(question(uri="b"), ANSWER)
    cache.forget("a")
    assert cache.get(question(uri="a")) is None and cache.get(question(uri="b")) is ANSWER
