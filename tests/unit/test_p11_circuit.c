/* The circuit breaker, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "p11_circuit.h"

#define MIDDLE(ms) ((unsigned)((ms) * HS_CIRCUIT_JITTER_PERCENT / 100)) /* the jitter that changes nothing */

static void
a_closed_circuit_lets_everybody_pass(void **state)
{
    struct hs_circuit circuit = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(hs_circuit_enter(&circuit, 1000), HS_CIRCUIT_PASS);
    assert_int_equal(hs_circuit_wait_ms(&circuit, 1000), 0);
}

static void
an_open_circuit_refuses_until_its_time(void **state)
{
    struct hs_circuit circuit = {0};

    (void)state;
    hs_circuit_fail(&circuit, 1000, MIDDLE(100));
    assert_int_equal(hs_circuit_enter(&circuit, 1000), HS_CIRCUIT_REFUSE);
    assert_int_equal(hs_circuit_enter(&circuit, 1099), HS_CIRCUIT_REFUSE);
    assert_int_equal(hs_circuit_wait_ms(&circuit, 1040), 60);
    assert_int_equal(hs_circuit_enter(&circuit, 1100), HS_CIRCUIT_PROBE);
}

static void
one_probe_at_a_time(void **state)
{
    struct hs_circuit circuit = {0};

    (void)state;
    hs_circuit_fail(&circuit, 0, MIDDLE(100));
    assert_int_equal(hs_circuit_enter(&circuit, 200), HS_CIRCUIT_PROBE);
    assert_int_equal(hs_circuit_enter(&circuit, 200), HS_CIRCUIT_REFUSE);
    hs_circuit_abandon(&circuit);
    assert_int_equal(hs_circuit_enter(&circuit, 200), HS_CIRCUIT_PROBE);
}

static void
a_good_probe_closes_it(void **state)
{
    struct hs_circuit circuit = {0};

    (void)state;
    hs_circuit_fail(&circuit, 0, MIDDLE(100));
    assert_int_equal(hs_circuit_enter(&circuit, 200), HS_CIRCUIT_PROBE);
    hs_circuit_succeed(&circuit);
    assert_int_equal(hs_circuit_enter(&circuit, 200), HS_CIRCUIT_PASS);
}

static void
waiting_doubles_up_to_half_a_minute(void **state)
{
    static const int64_t expected[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
    struct hs_circuit circuit = {0};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(expected); i++) {
        hs_circuit_fail(&circuit, 0, MIDDLE(expected[i]));
        assert_int_equal(hs_circuit_wait_ms(&circuit, 0), expected[i]);
    }
}

static void
jitter_stays_within_a_fifth(void **state)
{
    (void)state;
    for (unsigned jitter = 0; jitter < 1000; jitter++) {
        struct hs_circuit circuit = {.failures = 3}; /* the next is 0.8 s */
        hs_circuit_fail(&circuit, 0, jitter);
        assert_in_range((uintmax_t)hs_circuit_wait_ms(&circuit, 0), 640, 960);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_circuit_lets_everybody_pass), cmocka_unit_test(an_open_circuit_refuses_until_its_time),
        cmocka_unit_test(one_probe_at_a_time),                  cmocka_unit_test(a_good_probe_closes_it),
        cmocka_unit_test(waiting_doubles_up_to_half_a_minute),  cmocka_unit_test(jitter_stays_within_a_fifth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
