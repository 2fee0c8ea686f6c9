"""Transports: carry messages between a protocol and its teachers, and know nothing of teaching."""
