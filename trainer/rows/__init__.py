"""The trainer's rows in the store: tables, runs, what one stage leaves for the next."""
