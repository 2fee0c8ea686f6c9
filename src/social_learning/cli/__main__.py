"""`python -m social_learning.cli`."""

from social_learning.cli import main

main()
