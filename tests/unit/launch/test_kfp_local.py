"""The functions of kfp.local that are replaced still exist and are still called in the same way."""

import inspect

import pytest
from kfp.local import docker_task_handler, executor_input_utils, placeholder_utils, subprocess_task_handler

from ropewalk.launch.kfp_local import StepRunner, use_this_interpreter

SCRIPT = 'f=$(mktemp -d)\n_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "$f" "$@"\n'


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (subprocess_task_handler.run_local_subprocess, ["full_command", "env_vars"]),
        (subprocess_task_handler.replace_python_executable, ["full_command", "new_executable"]),
        (executor_input_utils.get_local_pipeline_resource_name, ["pipeline_name"]),
    ],
)
def test_replaced_functions_take_the_known_arguments(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters


def test_placeholders_still_take_the_runs_id_and_name():
    parameters = inspect.signature(placeholder_utils.replace_placeholders).parameters
    assert {"unique_pipeline_id", "pipeline_resource_name"} <= parameters.keys()


def test_the_runner_calls_with_the_names_that_our_step_runner_has():
    source = inspect.getsource(subprocess_task_handler.SubprocessTaskHandler.run)
    for name in list(inspect.signature(StepRunner.run).parameters)[1:]:
        assert f"{name}=" in source


def test_the_docker_runner_still_keeps_what_our_step_runner_needs():
    parameters = inspect.signature(docker_task_handler.DockerTaskHandler.__init__).parameters
    assert {"full_command", "env_vars"} <= parameters.keys()
    assert list(inspect.signature(docker_task_handler.DockerTaskHandler.run).parameters) == ["self"]


def test_only_the_script_gets_the_interpreter_and_spaces_are_quoted():
    source, value = "# python3 -m x\n", '{"a": "python3 -m x"}'
    command = ["sh", "-ec", SCRIPT, source, "--executor_input", value, "--function_to_execute", "python3"]
    changed = use_this_interpreter(command, "/a b/python")
    assert changed[2] == SCRIPT.replace("python3", "'/a b/python'")
    assert changed[:2] + changed[3:] == command[:2] + command[3:]


def test_the_script_that_installs_packages_gets_the_interpreter_too():
    install = 'python3 -m pip install x && "$0" "$@"'
    command = ["sh", "-c", install, "sh", "-ec", SCRIPT, "source", "--executor_input", "{}"]
    changed = use_this_interpreter(command, "/py")
    assert (changed[2], "python3" in changed[5]) == ('/py -m pip install x && "$0" "$@"', False)
