"""The feature cache gives each user the old history or the new one, wherever materializing is killed."""

import pytest
from feature_cache_steps import FEATURE_CACHE_STEPS

every_step = pytest.mark.parametrize("step", FEATURE_CACHE_STEPS)


@every_step
def test_killed_while_materializing_leaves_whole_histories_and_can_run_again(crash_site, step):
    site = crash_site(step)
    site.assert_survives(site.kills_while_sending())


def test_kill_is_detected_where_the_marker_is_written_first(crash_site):
    assert crash_site("materialize").detects_marking_first()
