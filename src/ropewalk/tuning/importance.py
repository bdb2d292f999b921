"""How much each parameter matters."""

import math
from collections.abc import Sequence

from ropewalk.tuning.engine import Trial
from ropewalk.tuning.space import covering, plain_distributions
from ropewalk.tuning.spec import Experiment

LEAST_TRIALS = 10


def parameter_importance(experiment: Experiment, trials: Sequence[Trial]) -> dict[str, float]:
    """Return each parameter's share (0 to 1, in all 1) of the objective's variance, the greatest first.

    It is that of functional ANOVA on a random forest (Hutter, Hoos, Leyton-Brown 2014, "An Efficient Approach for
    Assessing Hyperparameter Importance", ICML), by Optuna. Fewer than `LEAST_TRIALS` values, or all the same: none.
    """
    values = {trial.number: trial.value(experiment.objective) for trial in trials if trial.state == "succeeded"}
    finite = {number: value for number, value in values.items() if value is not None and math.isfinite(value)}
    if len(finite) < LEAST_TRIALS or min(finite.values()) == max(finite.values()):
        return {}
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=experiment.objective.type)
    spaces = plain_distributions(covering(experiment.parameters, [trial.values for trial in trials]))
    for trial in trials:
        if trial.number in finite:
            done = optuna.trial.create_trial(
                params=dict(trial.values), distributions=spaces, value=finite[trial.number]
            )
            study.add_trial(done)
    return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))
