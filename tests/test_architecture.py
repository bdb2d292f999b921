"""Who may import what, and how small an adapter is: the rules that keep each part replaceable."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "src" / "ropewalk"
STEPS = {"check", "data", "evaluation", "preprocess", "registry", "summary", "training", "tuning", "validation"}
SHARED = {
    "arrow_memory",
    "artifacts",
    "cluster",
    "commandline",
    "config",
    "errors",
    "fingerprints",
    "home",
    "images",
    "metric_lines",
    "progress",
    "quick_exit",
    "remote_artifacts",
    "report",
    "tracking",
    "turns",
}
TOP = {"cli", "components", "data_commands", "launch", "model_commands", "pipelines"}

USES_FORMAT_OF = {
    "validation": {"data"},
    "preprocess": {"data"},
    "training": {"preprocess"},
    "evaluation": {"preprocess", "training"},
    "registry": {"evaluation", "preprocess", "training"},
    "tuning": {"training"},
}
ONLY_IN = {
    "dvc": {"data"},
    "kubernetes": {"cluster", "tuning"},
    "kfp": {"components", "launch", "pipelines"},
    "mlflow": {"registry", "tracking"},
    "kubeflow_katib_api": {"tuning"},
    "optuna": {"tuning"},
    "sklearn": {"data", "evaluation"},
    "torch": {"training"},
    "xgboost": {"training"},
}
MAX_BODY_LINES = 15
LOGIC = (ast.If, ast.IfExp, ast.Try, ast.While, ast.With, ast.Match, ast.Lambda, ast.FunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Import:
    """One import of one file."""

    file: Path
    part: str
    """The package or module of Ropewalk that the file belongs to: training, launch, cli, errors, components, ..."""
    target: str
    """What is imported, with dots: ropewalk.errors, numpy."""
    lazy: bool
    """Whether it stands inside a function."""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)} imports {self.target}"

    @property
    def own(self) -> str:
        """The part of Ropewalk that is imported, "" when it is foreign."""
        words = self.target.split(".")
        return words[1] if words[0] == "ropewalk" and len(words) > 1 else ""


def _imports(part: str, file: Path) -> list[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {
        node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(file, part, alias.name, node in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide what is imported"
            names = (
                [f"ropewalk.{alias.name}" for alias in node.names] if node.module == "ropewalk" else [node.module or ""]
            )
            found += [Import(file, part, name, node in inside) for name in names]
    return found


def _all_imports() -> list[Import]:
    files = [(file.relative_to(LIBRARY).parts[0].removesuffix(".py"), file) for file in LIBRARY.rglob("*.py")]
    files += [(part, file) for part in ("components", "pipelines") for file in (ROOT / part).rglob("*.py")]
    return [found for part, file in files for found in _imports(part, file)]


IMPORTS = _all_imports()
ADAPTERS = sorted((ROOT / "components").glob("*/component.py"))


def _show(imports: list[Import]) -> str:
    return "\n".join(str(found) for found in imports)


def test_the_rules_cover_every_package():
    parts = {found.part for found in IMPORTS} | {folder.name for folder in LIBRARY.iterdir() if folder.is_dir()}
    assert parts - {"__init__", "__pycache__"} <= STEPS | SHARED | TOP


def test_the_library_knows_nothing_of_its_users():
    wrong = [found for found in IMPORTS if found.part in STEPS | SHARED and found.own in TOP]
    assert not wrong, _show(wrong)


def test_nobody_imports_the_command_line_or_the_tests():
    wrong = [found for found in IMPORTS if found.own == "cli" or found.target.split(".")[0] in ("tests", "conftest")]
    assert not wrong, _show(wrong)


def test_shared_modules_import_no_step():
    wrong = [found for found in IMPORTS if found.part in SHARED and found.own in STEPS]
    assert not wrong, _show(wrong)


def test_a_step_imports_another_only_for_its_artifacts():
    wrong = [
        found
        for found in IMPORTS
        if found.part in STEPS - {"check"}
        and found.own in STEPS - {found.part}
        and found.own not in USES_FORMAT_OF.get(found.part, set())
    ]
    assert not wrong, _show(wrong)


def test_checking_a_configuration_loads_nothing_heavy():
    heavy = "{'dvc', 'kfp', 'matplotlib', 'mlflow', 'pandas', 'pyarrow', 'sklearn', 'torch'}"
    script = f"import sys, ropewalk.check.check; found = {heavy} & sys.modules.keys(); sys.exit(', '.join(found) or 0)"
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"ropewalk.check.check loads {ended.stderr}"


def test_checking_an_experiment_and_running_it_here_load_nothing_of_katib_or_torch():
    heavy = "{'kfp', 'kubeflow_katib_api', 'kubernetes', 'matplotlib', 'mlflow', 'optuna', 'pyarrow', 'torch'}"
    modules = "ropewalk.tuning.tune, ropewalk.tuning.launch"
    script = f"import sys, {modules}; found = {heavy} & sys.modules.keys(); sys.exit(', '.join(found) or 0)"
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{modules} load {ended.stderr}"


def test_engines_are_spoken_to_in_terms_that_know_no_katib():
    wrong = [
        found
        for found in IMPORTS
        if found.file.name
        in ("spec.py", "engine.py", "following.py", "results.py", "page.py", "outputs.py", "training_trials.py")
        and found.part == "tuning"
        and "katib" in found.target
    ]
    assert not wrong, _show(wrong)


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_heavy_library_is_imported_only_where_it_belongs(library):
    wrong = [found for found in IMPORTS if found.target.split(".")[0] == library and found.part not in ONLY_IN[library]]
    assert not wrong, _show(wrong)


def test_launch_uses_the_library_only_for_shared_parts_the_check_and_config_types():
    wrong = [
        found
        for found in IMPORTS
        if found.part == "launch"
        and found.own not in {"", "launch", *SHARED}
        and not (found.target == "ropewalk.check.check" and found.lazy)
        and found.target != "ropewalk.tuning.profile"
    ]
    assert not wrong, _show(wrong)


def test_step_packages_start_with_nothing_but_a_docstring():
    for step in STEPS | {"cluster", "launch", "report"}:
        tree = ast.parse((LIBRARY / step / "__init__.py").read_text(encoding="utf-8"))
        assert len(tree.body) == 1, f"ropewalk.{step}/__init__.py has code"


def test_components_import_at_module_level_only_what_kfp_ships():
    allowed = {"kfp", "typing", "ropewalk.images"}
    wrong = [found for found in IMPORTS if found.file in ADAPTERS and not found.lazy and found.target not in allowed]
    assert not wrong, _show(wrong)


def test_pipelines_only_wire():
    wrong = [
        found
        for found in IMPORTS
        if found.part == "pipelines"
        and found.target != "kfp"
        and found.own not in ("components", "launch", "pipelines")
    ]
    assert not wrong, _show(wrong)


@pytest.mark.parametrize("file", ADAPTERS, ids=lambda file: file.parent.name)
def test_an_adapter_is_one_short_function_without_logic(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    body = function.body[1:]
    assert ast.get_docstring(function)
    lines = file.read_text(encoding="utf-8").splitlines()[body[0].lineno - 1 : body[-1].end_lineno]
    assert len([line for line in lines if line.strip()]) <= MAX_BODY_LINES
    logic = [node for statement in body for node in ast.walk(statement) if isinstance(node, LOGIC)]
    assert not logic, f"{file.parent.name}: {type(logic[0]).__name__} in line {logic[0].lineno}"
    loops = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.For)]
    assert all(len(loop.body) == 1 and isinstance(loop.body[0], ast.Expr) for loop in loops)


@pytest.mark.parametrize("file", ADAPTERS, ids=lambda file: file.parent.name)
def test_an_adapter_has_annotations_that_kfp_can_read(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    arguments = function.args.args + function.args.kwonlyargs
    for annotation in [*(argument.annotation for argument in arguments), function.returns]:
        assert not isinstance(annotation, ast.Constant) or annotation.value is None
    defaults = function.args.defaults
    assert all(isinstance(default, ast.Constant | ast.Dict | ast.List | ast.UnaryOp) for default in defaults)


@pytest.mark.parametrize("file", ADAPTERS, ids=lambda file: file.parent.name)
def test_a_components_folder_and_function_have_different_names(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.name.split("_")[0] in (file.parent.name, "run")
    assert function.name != file.parent.name
