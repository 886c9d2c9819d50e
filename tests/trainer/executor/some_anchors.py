"""Two anchors of three items, short enough for the tiny base."""

import json


def anchors_file(folder):
    path = folder / "anchors.jsonl"
    path.write_text("\n".join(_anchor(name, n) for name in ("p", "q") for n in (1, 2, 3)))
    return path


def _anchor(name, n):
    prefix = f"def {name}(a):\n"
    fields = {"anchor": name, "label": name, "instruction": name, "layout": "infill", "prefix": prefix, "suffix": ""}
    return json.dumps({**fields, "completion": f"    return a + {n}\n" * n})
