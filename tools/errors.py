"""Every error Plimsoll raises on purpose, and the exit code that it means.

PlimsollError
 ├── UsageError                 2  a request that cannot be carried out as put
 │    ├── MandateError             the question or its limits: no asset, a negative amount, limits at odds
 │    └── SourceError              an unknown source, or a folder or address that is none
 ├── Declined                   3  a person was asked to approve the choice, and wants none
 ├── MarketError                4  the market data
 │    ├── SnapshotMissing          no snapshot for the date; the message names those that exist
 │    ├── CorruptMarket            a file or an answer that is not what it should be
 │    ├── EmptyMarket              an answer without a single pool
 │    └── MarketUnavailable        the network failed after its retries, or took too long, or sent too much
 ├── ModelError                 5  the model in the seat failed (fatal only with --require-model)
 └── VerificationError          6  a saved recommendation that is not what it says it is

As many types as there are different reactions. Each message says what is wrong and what to do about it. Data that do
not exist are not an error: they are records with a reason (see ``tools.records``).
"""


class PlimsollError(Exception):
    """Any failure that Plimsoll foresees; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(PlimsollError):
    """The request cannot be carried out as it was put."""

    exit_code = 2


class MandateError(UsageError):
    """The question or its limits cannot be used: no asset, a negative amount, limits that contradict each other."""


class SourceError(UsageError):
    """The market source is unknown, or names a folder or an address that is none."""


class Declined(PlimsollError):
    """The person who was asked to approve the choice wants none of the shortlist; nothing is written."""

    exit_code = 3


class MarketError(PlimsollError):
    """The market data cannot be used."""

    exit_code = 4


class SnapshotMissing(MarketError):
    """The source has no snapshot for the date that was asked for."""


class CorruptMarket(MarketError):
    """A market file or an answer is not in the shape of DefiLlama's API."""


class EmptyMarket(MarketError):
    """The source answered, and lists no pool at all."""


class MarketUnavailable(MarketError):
    """The source could not be reached, timed out, refused, or sent more than the limits allow."""


class ModelError(PlimsollError):
    """The language model failed, and ``--require-model`` forbids the embedded policy to take over."""

    exit_code = 5


class VerificationError(PlimsollError):
    """A saved recommendation differs from what it claims, or its replay does."""

    exit_code = 6
