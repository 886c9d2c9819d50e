"""What became of alternatives that were shown: records, the file that keeps them, figures of them."""
