"""The three treatment scenarios of a rollout: the true actions, the last one kept, and none."""

from collections.abc import Sequence

from clin_jepa.data.trajectory_store import NO_ACTION_SENTENCE


def action_text(hour: int, treatments: str, stamped: bool = True) -> str:
    """The text of an hour's treatments.

    Args:
        hour: Of the stay.
        treatments: What it says of them.
        stamped: Whether the store's texts begin with their hour.

    >>> action_text(30, "propofol: 50 mg/hour")
    't=30h | propofol: 50 mg/hour'
    """
    return f"t={hour}h | {treatments}" if stamped else treatments


def last_action_kept(last_text: str, hours: Sequence[int], stamped: bool = True) -> list[str]:
    """The last true action, under the stamps of the hours ahead.

    >>> last_action_kept("t=23h | propofol: 50 mg/hour", [24, 25])
    ['t=24h | propofol: 50 mg/hour', 't=25h | propofol: 50 mg/hour']
    >>> last_action_kept("propofol: 50 mg/hour", [24], stamped=False)
    ['propofol: 50 mg/hour']
    """
    treatments = last_text.partition(" | ")[2] if stamped else last_text
    return [action_text(hour, treatments, stamped) for hour in hours]


def no_action(hours: Sequence[int], stamped: bool = True) -> list[str]:
    """No treatment in any of the hours ahead.

    >>> no_action([24])
    ['t=24h | no interventions recorded']
    """
    return [action_text(hour, NO_ACTION_SENTENCE, stamped) for hour in hours]
