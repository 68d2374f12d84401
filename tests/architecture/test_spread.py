"""Tests spread over processes: those that need Ray are kept in one, which runs one cluster at a time."""

import os

import pytest


def test_all_tests_that_need_ray_are_in_one_group(request: pytest.FixtureRequest) -> None:
    of_ray = [item for item in request.session.items if item.get_closest_marker("ray") is not None]
    if "PYTEST_XDIST_WORKER" not in os.environ or not of_ray:
        pytest.skip("the tests run in one process, or none of these needs Ray")
    assert all(item.nodeid.endswith("@ray") for item in of_ray)
