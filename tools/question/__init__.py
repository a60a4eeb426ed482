"""The question: words to a mandate, without a model."""

from tools.question.checks import check_mandate
from tools.question.reader import Reading, read

__all__ = ["Reading", "check_mandate", "read"]
