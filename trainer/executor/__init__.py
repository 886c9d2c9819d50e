"""Where the pieces of a stage are computed: in this process, or on the workers of a Ray cluster. Opens no store."""
