"""Serving: a teacher as its own process. It alone reads its silo and its model, and decides what leaves."""
