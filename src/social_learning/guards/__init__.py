"""Guards: what may leave a silo. Each looks at one item that is about to leave, and passes, mends or drops it.

Guards see private text; their results, which leave the silo, are counts.
"""

from social_learning.guards.copies import NoCopies
from social_learning.guards.distance import MinDistance
from social_learning.guards.door import Door, GuardTable, default_guards, guards_for
from social_learning.guards.guard import Guard
from social_learning.guards.origin import LONG_FIELD_WORDS, Origin, Private, private_texts, texts_of
from social_learning.guards.plain import PlainText
from social_learning.guards.shared import NoSharedItems

__all__ = [
    "LONG_FIELD_WORDS",
    "Door",
    "Guard",
    "GuardTable",
    "MinDistance",
    "NoCopies",
    "NoSharedItems",
    "Origin",
    "PlainText",
    "Private",
    "default_guards",
    "guards_for",
    "private_texts",
    "texts_of",
]
