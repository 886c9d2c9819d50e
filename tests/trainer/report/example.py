"""An export as `trainer evaluate` writes it, of problems made up for these tests."""

SOLUTIONS = ("    return a + b\n", "    return sum((a, b))\n", "    total = a\n    total += b\n    return total\n")
LEVELS = ("exact", "ast", "near", "approach")


def figure(mean, *, spread=0.1):
    return {"mean": mean, "low": mean - spread, "high": mean + 1.5 * spread, "standard_error": spread / 2}


def alternative(n, *, text=None, verdict="pass", adapter=""):
    return {
        "text": SOLUTIONS[n % 3] if text is None else text,
        "adapter": adapter,
        "finish": "stop",
        "verdict": verdict,
        "raw_text": SOLUTIONS[n % 3] + "\nprint(1)\n",
        "raw_verdict": "fail",
        "class_exact": n % 3,
        "class_ast": n % 3,
        "class_near": n % 2,
        "class_approach": None,
    }


def problem(n, k, *, adapters=("",)):
    return {
        "task_id": f"made-up/{n}",
        "prompt": f"def add_{n}(a, b):\n",
        "alternatives": [
            alternative(i, adapter=adapters[i % len(adapters)], verdict="fail" if (i + n) % 4 == 3 else "pass")
            for i in range(k)
        ],
    }


def arm(label, *, k, mean=0.5, dc=1.0, adapters=(), n_problems=3, run_id=None):
    name, _, temperature = label.partition("@")
    names = [f"a{n}" for n in range(len(adapters))]
    figures = {f"dc_{level}": figure(dc + 0.07 * n) for n, level in enumerate(LEVELS)}
    figures |= {"pass_at_1": figure(mean), "diversity": figure(0.13 * k), "distinct_ast": figure(0.4 * k)}
    return {
        "arm": label,
        "about": f"{name} of the tests",
        "adapter_set": f"{name}-k{k}" if adapters else "",
        "method": "by hand" if adapters else "",
        "training": {"finetune": {"steps": 20}} if adapters else None,
        "k": k,
        "temperature": float(temperature or 0),
        "run_id": run_id or f"{label}{k}",
        "figures": figures,
        "by_adapter": [
            {"adapter": f"a{n}", "label": own, "pass_at_1": figure(0.2 + 0.1 * n)} for n, own in enumerate(adapters)
        ],
        "problems": [problem(n, k, adapters=names or [""]) for n in range(n_problems)],
    }


def benchmark(arms, *, name="made-up"):
    pairs = [(second, first) for n, first in enumerate(arms) for second in arms[n + 1 :]]
    return {
        "name": name,
        "n_problems": len(arms[0]["problems"]) if arms else 0,
        "arms": arms,
        "differences": [
            {"first": first["arm"], "second": second["arm"], "figure": "dc_ast", "mean": 0.31, "low": 0.1, "high": 0.5}
            for first, second in pairs
        ],
    }


def document(*benchmarks, k=4, n_samples=None):
    return {
        "format": 1,
        "settings": {
            "base": "tiny",
            "quantization": "fp32",
            "device": "cpu",
            "sandbox": "bubblewrap",
            "k": k,
            "seed": 0,
            "max_tokens": None,
            "top_p": 0.95,
            "budget": {"n_samples": n_samples, "seed": 0, "finetune": {"steps": 20}},
            "versions": {"torch": "2.10"},
            "git_commit": "0123456",
            "machine": {"processor": "x86_64", "n_cores": 2, "memory_gib": 8.0},
        },
        "benchmarks": list(benchmarks),
    }


def usual(k=4, **options):
    """Base at three temperatures, two arms with adapters."""
    arms = [
        arm("base", k=1, mean=0.53, dc=0.5),
        arm("base@0.2", k=k, mean=0.51, dc=0.12 * k),
        arm("base@0.8", k=k, mean=0.41, dc=0.2 * k),
        arm("random", k=k, mean=0.49, dc=0.19 * k, adapters=["first", "second", "third", "fourth"]),
        arm("influence", k=k, mean=0.527, dc=0.3 * k, adapters=["loops", "recursion", "text", "$x_1$ <b>"]),
        arm("influence@0.4", k=k, mean=0.45, dc=0.34 * k, adapters=["loops", "recursion", "text", "$x_1$ <b>"]),
    ]
    return document(benchmark(arms), k=k, **options)
