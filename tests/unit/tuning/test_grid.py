"""The grid: every combination once, in exact decimal steps."""

from ropewalk.tuning.grid import grid, grid_size, grid_values
from ropewalk.tuning.spec import Parameter

SPACE = (
    Parameter(name="rate", type="double", min=0.1, max=0.35, step=0.1),
    Parameter(name="size", type="int", min=1, max=10, step=4),
    Parameter(name="kind", type="categorical", values=("a", "b")),
)


def test_every_combination_comes_once_the_last_parameter_fastest():
    found = [tuple(each.values()) for each in grid(SPACE)]
    assert found[:3] == [(0.1, 1, "a"), (0.1, 1, "b"), (0.1, 5, "a")]
    assert len(found) == len(set(found)) == grid_size(SPACE) == 3 * 3 * 2


def test_steps_are_added_as_decimals():
    (rate, *_) = SPACE
    assert [each["rate"] for each in grid([rate])] == [0.1, 0.2, 0.3]


def test_a_step_that_divides_the_range_includes_its_end():
    assert grid_size([Parameter(name="x", type="double", min=0.01, max=0.05, step=0.005)]) == 9
    assert grid_size([Parameter(name="n", type="int", min=3, max=5)]) == 3


def test_the_whole_grid_is_the_one_that_optunas_sampler_walks_in_another_order():
    import optuna

    values = {parameter.name: grid_values(parameter) for parameter in SPACE}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(values, seed=1))
    study.optimize(
        lambda trial: sum(hash(trial.suggest_categorical(name, each)) for name, each in values.items()), n_trials=99
    )
    walked = {tuple(trial.params[name] for name in values) for trial in study.trials}
    assert walked == {tuple(each.values()) for each in grid(SPACE)}
