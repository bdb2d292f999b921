"""Rule `oneof-artifact`: an artifact that comes out of one branch or another."""

from collections.abc import Iterator

from ropewalk.launch.lint.document import Document
from ropewalk.launch.lint.finding import ERROR, Finding
from ropewalk.launch.lint.rule import LintConfig, found


def check_selectors(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each artifact that dsl.OneOf chooses among several."""
    for place, graph in document.graphs:
        for name, output in graph["dag"].get("outputs", {}).get("artifacts", {}).items():
            if len(output.get("artifactSelectors", [])) > 1:
                yield found(
                    document,
                    "oneof-artifact",
                    ERROR,
                    (*place, "dag", "outputs", "artifacts", name),
                    message=f"dsl.OneOf chooses the artifact {name!r}: local runs fail with 'Expected 1 artifact', and "
                    "servers lose it (kubeflow/pipelines#11275).",
                    fix="Decide inside a component that takes both and writes one, or choose a parameter.",
                )
