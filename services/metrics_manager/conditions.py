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
