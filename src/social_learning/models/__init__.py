"""Models: one protocol for language models, what runs behind it, and the wrappers around it."""
