"""The stages in their order, and the adapter sets that an evaluation's arms need."""
