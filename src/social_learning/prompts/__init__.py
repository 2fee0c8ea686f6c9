"""Prompts: every word that is sent to a model, one file for each purpose."""
