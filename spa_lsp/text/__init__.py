"""Rules about text around a cursor: what is cut, what is shown, which texts are the same program. Pure."""
