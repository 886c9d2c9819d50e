"""A picture of the workbench is kept when one of its tests fails."""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    workbench = item.funcargs.get("workbench") if report.failed else None
    if workbench:
        path = workbench.folder / f"{item.name}.png"
        try:
            workbench.picture(path)
            report.sections.append(("screen", f"kept as {path}"))
        except (AssertionError, OSError) as error:  # the browser may be what has failed
            report.sections.append(("screen", f"no picture: {error}"))
    return report
