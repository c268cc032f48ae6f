"""Words that the kinds of metrics_manager carry in their status."""

from __future__ import annotations

from crds.term import Term


class TargetPhase(Term):
    """What state a ScrapeTarget is in."""

    UNKNOWN = "Unknown", "It was not asked yet."
    UP = "Up", "It answers, and what it says is kept."
    DOWN = "Down", "It does not answer, or its answer is not taken: `error` says why."
    PAUSED = "Paused", "Its spec says that it is not asked."


class TargetReason(Term):
    """Why a ScrapeTarget is as its condition Reconciled says."""

    SCRAPED = "Scraped", "It is asked at its interval."
    SCRAPE_FAILED = "ScrapeFailed", "The last time it did not answer as it should; it is asked again."
    NOT_SCRAPED = "NotScraped", "Its spec says that it is not asked."


class RulePhase(Term):
    """What state an AlertRule is in."""

    INACTIVE = "Inactive", "Its expression gives nothing."
    PENDING = "Pending", "It gives something, not for long enough yet."
    FIRING = "Firing", "It gives something, and whoever is to be told is told."
    ERROR = "Error", "It cannot be computed; its alerts stay as they are."
    PAUSED = "Paused", "Its spec says that it is not computed."


class RuleReason(Term):
    """Why an AlertRule is as its condition Reconciled says."""

    EVALUATED = "Evaluated", "It is computed after each round of scrapes."
    FAILS = "EvaluationFailed", "It cannot be computed."
    NOT_EVALUATED = "NotEvaluated", "Its spec says that it is not computed."


class ChannelPhase(Term):
    """What state an AlertChannel is in."""

    ACTIVE = "Active", "What was told last was taken, or nothing was told yet."
    FAILING = "Failing", "The last message was not taken; it is tried again."
    PAUSED = "Paused", "Its spec says that nobody is told."


class ChannelReason(Term):
    """Why an AlertChannel is as its condition Reconciled says."""

    TELLS = "Tells", "Alerts that are meant for it are told."
    NOT_TAKEN = "NotTaken", "The last message was not taken."
    PAUSED = "ChannelPaused", "Its spec says that nobody is told."


class SilencePhase(Term):
    """What state an AlertSilence is in."""

    PENDING = "Pending", "It has not begun."
    ACTIVE = "Active", "Nobody is told of the alerts it is meant for."
    EXPIRED = "Expired", "It is over."


class SilenceReason(Term):
    """Why an AlertSilence is as its condition Reconciled says."""

    KNOWN = "SilenceKnown", "It holds from its beginning to its end."
    OVER = "SilenceOver", "It is over."
