from regulars.web.attempts import ADDRESSES_MAX, FAILURES_MAX, WINDOW_S, LoginAttempts


def fail(attempts: LoginAttempts, address: str, times: int, now_s: float = 0.0) -> None:
    for _ in range(times):
        attempts.note_failure(address, now_s)


def test_address_waits_after_too_many_failures_until_the_window_ends() -> None:
    attempts = LoginAttempts()

    fail(attempts, "10.0.0.1", FAILURES_MAX - 1)
    assert attempts.wait_s("10.0.0.1", 1.0) == 0
    fail(attempts, "10.0.0.1", 1)

    assert attempts.wait_s("10.0.0.1", 1.0) == WINDOW_S - 1
    assert attempts.wait_s("10.0.0.2", 1.0) == 0
    assert attempts.wait_s("10.0.0.1", WINDOW_S) == 0


def test_a_new_window_counts_anew() -> None:
    attempts = LoginAttempts()
    fail(attempts, "10.0.0.1", FAILURES_MAX)

    fail(attempts, "10.0.0.1", 1, now_s=WINDOW_S)

    assert attempts.wait_s("10.0.0.1", WINDOW_S + 1) == 0


def test_one_ipv6_household_is_one_address() -> None:
    attempts = LoginAttempts()

    fail(attempts, "2001:db8::1", FAILURES_MAX)

    assert attempts.wait_s("2001:db8::ffff:2", 0.0) > 0
    assert attempts.wait_s("2001:db8:0:1::1", 0.0) == 0


def test_success_clears_and_the_table_is_bounded() -> None:
    attempts = LoginAttempts()
    fail(attempts, "unix", FAILURES_MAX)
    attempts.forget("unix")
    assert attempts.wait_s("unix", 0.0) == 0

    fail(attempts, "10.0.0.1", FAILURES_MAX)
    for number in range(ADDRESSES_MAX):
        attempts.note_failure(f"host-{number}", 0.0)

    assert attempts.wait_s("10.0.0.1", 0.0) == 0
