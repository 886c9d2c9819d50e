from trainer.evaluate.sameness.normalize import ast_key

HEAD = "def f(numbers, limit=3):\n"


def key(body, head=HEAD):
    return ast_key(head + body, "f")


def test_comments_docstrings_and_layout_do_not_count():
    plain = "    total = 0\n    return total\n"
    assert key('    """Sum."""\n    total  =  (0)  # start\n\n    return total\n') == key(plain)


def test_annotations_do_not_count():
    assert key("    total: int = 0\n    return total\n") == key("    total = 0\n    return total\n")
    assert key("    pass\n", "def f(numbers: list[int], limit: int = 3) -> int:\n") == key("    pass\n")


def test_names_of_locals_do_not_count():
    assert key("    for x in numbers:\n        y = x\n    return y\n") == key(
        "    for number in numbers:\n        last = number\n    return last\n"
    )


def test_locals_are_numbered_by_their_first_binding():
    assert (
        key("    b = 1\n    a = b\n    return a\n")
        == "def f(numbers, limit=3):\n    ·0 = 1\n    ·1 = ·0\n    return ·1"
    )


def test_swapped_locals_count():
    assert key("    a = 1\n    b = 2\n    return a\n") != key("    a = 1\n    b = 2\n    return b\n")


def test_parameters_keep_their_names():
    assert key("    return numbers\n") != key("    return limit\n")


def test_names_in_comprehensions_lambdas_and_inner_functions_do_not_count():
    assert key("    return [a for a in numbers]\n") == key("    return [b for b in numbers]\n")
    assert key("    return map(lambda a: a, numbers)\n") == key("    return map(lambda b: b, numbers)\n")
    assert key("    def g(a):\n        return a\n    return g\n") == key(
        "    def h(b):\n        return b\n    return h\n"
    )


def test_names_of_exceptions_and_patterns_do_not_count():
    body = "    try:\n        pass\n    except ValueError as {0}:\n        return {0}\n"
    assert key(body.format("error")) == key(body.format("e"))
    body = "    match numbers:\n        case [{0}, *{1}]:\n            return {1}\n"
    assert key(body.format("first", "rest")) == key(body.format("a", "b"))


def test_called_functions_count():
    assert key("    return max(numbers)\n") != key("    return min(numbers)\n")


def test_a_builtin_that_an_inner_scope_shadows_keeps_its_name():
    body = "    g = lambda {0}: {0}\n    return {0}(numbers)\n"
    assert key(body.format("max")) != key(body.format("min"))


def test_keywords_of_calls_keep_the_names_of_their_parameters():
    body = "    def g({0}, {1}):\n        return {0} - {1}\n    return g(a=2, b=1)\n"
    assert key(body.format("a", "b")) != key(body.format("b", "a"))


def test_names_that_a_class_binds_keep_their_spelling():
    body = "    class C:\n        {0} = 1\n        {1} = 2\n    return C.a\n"
    assert key(body.format("a", "b")) != key(body.format("b", "a"))


def test_imports_keep_their_names():
    assert key("    import math\n    return math.pi\n") != key("    import cmath\n    return cmath.pi\n")


def test_only_the_entry_function_counts():
    assert ast_key("import os\ndef f():\n    return 1\n\ndef g():\n    pass\n", "f") == ast_key(
        "def f():\n    return 1\n", "f"
    )


def test_the_last_of_two_definitions_counts():
    assert ast_key("def f():\n    return 1\ndef f():\n    return 2\n", "f") == "def f():\n    return 2"


def test_a_function_of_nothing_but_text_is_pass():
    assert ast_key('def f():\n    """Nothing."""\n', "f") == ast_key("def f():\n    pass\n", "f")


def test_what_does_not_parse_has_no_key():
    assert ast_key("def f(:\n", "f") is None
    assert ast_key("def f():\n    return '\0'\n", "f") is None
    assert ast_key("def f():\n    return " + "(" * 5000 + ")" * 5000, "f") is None


def test_a_program_without_the_function_has_no_key():
    assert ast_key("x = 1\n", "f") is None


def test_an_f_string_with_names_is_renamed():
    assert key('    a = 1\n    return f"{a!r:>{limit}}"\n') == key('    b = 1\n    return f"{b!r:>{limit}}"\n')


def test_an_f_string_that_cannot_be_written_back_still_has_a_key():
    assert key("    return f\"{numbers}\\n{'x'}\"\n") is not None


def test_a_bad_escape_gives_no_warning(recwarn):
    assert key("    return '\\d'\n") is not None
    assert not recwarn


def test_a_method_is_found_by_its_class():
    source = "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 2\n"
    assert ast_key(source, "A.f") == "def f(self):\n    return 1"
    assert [ast_key(source, name) for name in ("f", "A.g", "C.f")] == [None] * 3
