"""The engine: one process per user and base that holds the model, and the client that talks to it over a socket."""
