"""Files that must survive: the SQLite store, private files, files checked by their sha256."""
