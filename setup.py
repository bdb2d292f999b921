"""The package list: the library under src/, and the two folders at the root that are mapped into it."""

from setuptools import find_packages, setup

MAPPED = {"ropewalk.components": "components", "ropewalk.pipelines": "pipelines"}

packages = find_packages("src")
for package, folder in MAPPED.items():
    packages += [package, *(f"{package}.{name}" for name in find_packages(folder))]

setup(packages=packages)
