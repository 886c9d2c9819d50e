"""The front: a thin language server, one process per editor window. It asks the engine and never imports torch."""
