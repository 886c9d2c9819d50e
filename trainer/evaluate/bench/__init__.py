"""How fast the judge and the evaluation are."""
