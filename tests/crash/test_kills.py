"""Nothing half-written is ever found, wherever a writing step is killed; and these tests would see it."""

import pytest
from contract_steps import CONTRACT_STEPS
from verb_steps import VERB_STEPS

every_step = pytest.mark.parametrize("step", [*CONTRACT_STEPS, *VERB_STEPS])


@every_step
def test_killed_between_two_operations_leaves_a_whole_state_and_can_run_again(crash_site, step):
    site = crash_site(step)
    site.assert_survives(site.kills_between_operations())


@every_step
def test_killed_in_the_middle_of_a_file_leaves_a_whole_state_and_can_run_again(crash_site, step):
    site = crash_site(step)
    site.assert_survives(site.kills_within_a_file())


@every_step
def test_power_cut_between_two_operations_leaves_a_whole_state_and_can_run_again(crash_site, step):
    site = crash_site(step)
    site.assert_survives(site.power_cuts())


@every_step
def test_kill_is_detected_where_files_are_written_in_place(crash_site, step):
    assert crash_site(step).detects_writing_in_place()


@every_step
def test_power_cut_is_detected_where_nothing_is_flushed(crash_site, step):
    assert crash_site(step).detects_flushing_nothing()
