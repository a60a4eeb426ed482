"""A line in a conversation: words and what was said before, to what is asked; without a model."""

from tools.dialogue.concepts import Concept, load_concepts
from tools.dialogue.reader import read_turn
from tools.dialogue.records import Change, Memory, NamedPool, Subject, Turn, TurnKind

__all__ = [
    "Change",
    "Concept",
    "Memory",
    "NamedPool",
    "Subject",
    "Turn",
    "TurnKind",
    "load_concepts",
    "read_turn",
]
