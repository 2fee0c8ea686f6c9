"""Tests, as a package: some of them share helpers."""
