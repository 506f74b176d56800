"""The forecasters that rollout drift compares: their keys in ``metrics.json`` and how a reader sees them named."""

TRUE_ACTIONS = "clin_jepa_true_actions"
LAST_ACTION = "clin_jepa_last_action"
NO_ACTION = "clin_jepa_no_action"
COPY_FORWARD = "copy_forward"
TRAINING_MEAN = "training_mean"
LINEAR = "linear"

ARMS = (TRUE_ACTIONS, LAST_ACTION, NO_ACTION)
FORECASTS = (*ARMS, COPY_FORWARD, TRAINING_MEAN, LINEAR)

_LABELS = {
    TRUE_ACTIONS: "Clin-JEPA, true actions",
    LAST_ACTION: "Clin-JEPA, last action kept",
    NO_ACTION: "Clin-JEPA, no action",
    COPY_FORWARD: "Copy-forward",
    TRAINING_MEAN: "Training mean of the hour",
    LINEAR: "Linear extrapolation",
}


def label(model: str) -> str:
    """The name a reader sees.

    >>> label("copy_forward"), label("some_later_model")
    ('Copy-forward', 'some later model')
    """
    return _LABELS.get(model, model.replace("_", " "))
