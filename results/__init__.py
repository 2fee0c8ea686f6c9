"""Measured results: what runs wrote, and the program that puts their tables into the docs."""
