"""What is left of a line when words that mean something only in a conversation are taken out of it."""

from __future__ import annotations

from collections.abc import Callable

from tools.question.grammar import Match
from tools.question.line import Line


class Rest:
    """The line, and the places of what has been understood; the text that is left goes to the question's reader."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.taken: set[int] = set()

    def take(self, name: str, fits: Callable[[Line, Match], bool] | None = None) -> list[Match]:
        """Take the matches of a list that overlap nothing taken before, and fit."""
        fresh = [match for match in self.line.find(f"talk.{name}") if self.taken.isdisjoint(match.span)]
        found = [match for match in fresh if fits is None or fits(self.line, match)]
        self.taken.update(place for match in found for place in match.span)
        return found

    def text(self) -> str:
        """Return the text without what was taken."""
        letters = list(self.line.text)
        for place in self.taken:
            lexeme = self.line.lexemes[place]
            letters[lexeme.start : lexeme.end] = " " * (lexeme.end - lexeme.start)
        return "".join(letters)
