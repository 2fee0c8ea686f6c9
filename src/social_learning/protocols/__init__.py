"""Protocols: the ways of teaching, each a generator on the student's side."""
