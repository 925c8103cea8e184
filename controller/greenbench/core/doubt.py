"""Every reason to distrust a trial: one rule each, one sentence each, with the number that failed."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How far a trial can be trusted."""

    VALID = "valid"
    DOUBTFUL = "doubtful"
    INVALID = "invalid"
    FAILED = "failed"


class Rule(StrEnum):
    """The rules of the validity table, in its order."""

    TOO_SHORT = "too_short"
    NOT_STEADY = "not_steady"
    SENSOR_DISAGREEMENT = "sensor_disagreement"
    PERIOD_LOCKED = "period_locked"
    THROTTLED = "throttled"
    FOREIGN_PROCESS = "foreign_process"
    BUSY_HOST = "busy_host"
    GAP = "gap"
    TEMPERATURE = "temperature"
    BASELINE_DRIFT = "baseline_drift"
    PARITY = "parity"
    NUMERIC_MODE = "numeric_mode"
    PROVIDER_FALLBACK = "provider_fallback"
    ENVIRONMENT_CHANGED = "environment_changed"
    CLOCK_STEPPED = "clock_stepped"
    COUNTER_RESET = "counter_reset"
    NO_WRAP_HANDLING = "no_wrap_handling"
    MIG = "mig"


SENTENCES: dict[Rule, str] = {
    Rule.TOO_SHORT: "the window holds too few sensor periods or iterations",
    Rule.NOT_STEADY: "rate or power had not settled, or changed between the window's halves",
    Rule.SENSOR_DISAGREEMENT: "the energy counter and the integrated power disagree",
    Rule.PERIOD_LOCKED: "the iteration period is near a simple fraction of the sensor's period",
    Rule.THROTTLED: "the GPU was throttled",
    Rule.FOREIGN_PROCESS: "another process computed on the GPU",
    Rule.BUSY_HOST: "others used the host's CPU",
    Rule.GAP: "a sensor was not read on time",
    Rule.TEMPERATURE: "the GPU started outside the temperature band",
    Rule.BASELINE_DRIFT: "the host's idle power drifted; the net columns suffer",
    Rule.PARITY: "the outputs differ from the reference",
    Rule.NUMERIC_MODE: "the numeric mode in force is not the one asked for",
    Rule.PROVIDER_FALLBACK: "nodes ran on another execution provider than the one asked for",
    Rule.ENVIRONMENT_CHANGED: "image, driver, clocks limit or power limit changed since the run began",
    Rule.CLOCK_STEPPED: "the host's time of day was set while the load ran",
    Rule.COUNTER_RESET: "an energy counter went backwards",
    Rule.NO_WRAP_HANDLING: "the CPU meter asked for does not handle counter wraps",
    Rule.MIG: "the GPU is split by MIG and its power is the whole GPU's",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One rule that a trial broke.

    Attributes:
        rule: Which.
        value: The statistic that failed, in the rule's unit.
        limit: The limit that it passed.
        verdict: `Verdict.DOUBTFUL` or `Verdict.INVALID`.
    """

    rule: Rule
    value: float
    limit: float
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """The rule's sentence with the number that failed and its limit."""
        return f"{SENTENCES[self.rule]} ({self.rule}: {self.value:.4g}, limit {self.limit:.4g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one rule; None where the rule has no such verdict.

    Attributes:
        doubtful: Beyond this a trial is doubtful.
        invalid: Beyond this it is invalid.
        low_is_bad: Whether falling below the limits breaks the rule.
    """

    doubtful: float | None
    invalid: float | None
    low_is_bad: bool = False

    def judge(self, rule: Rule, value: float) -> Doubt | None:
        """Return the doubt that `value` raises under `rule`, or None where it raises none."""
        for limit, verdict in ((self.invalid, Verdict.INVALID), (self.doubtful, Verdict.DOUBTFUL)):
            if limit is not None and (value < limit if self.low_is_bad else value > limit):
                return Doubt(rule=rule, value=value, limit=limit, verdict=verdict)
        return None


def worst(doubts: tuple[Doubt, ...]) -> Verdict:
    """Return the verdict of a finished trial with these doubts."""
    verdicts = {doubt.verdict for doubt in doubts}
    for verdict in (Verdict.INVALID, Verdict.DOUBTFUL):
        if verdict in verdicts:
            return verdict
    return Verdict.VALID
