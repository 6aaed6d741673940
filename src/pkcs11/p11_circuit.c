#include "p11_circuit.h"

enum hs_circuit_answer
hs_circuit_enter(struct hs_circuit *circuit, int64_t now_ms)
{
    if (circuit->failures == 0)
        return HS_CIRCUIT_PASS;
    if (circuit->probing || now_ms < circuit->open_until_ms)
        return HS_CIRCUIT_REFUSE;
    circuit->probing = true;
    return HS_CIRCUIT_PROBE;
}

void
hs_circuit_succeed(struct hs_circuit *circuit)
{
    *circuit = (struct hs_circuit){0};
}

static int64_t
backoff_ms(unsigned failures)
{
    int64_t ms = HS_CIRCUIT_FIRST_MS;

    for (unsigned i = 1; i < failures && ms < HS_CIRCUIT_LONGEST_MS; i++)
        ms *= 2;
    return ms < HS_CIRCUIT_LONGEST_MS ? ms : HS_CIRCUIT_LONGEST_MS;
}

void
hs_circuit_fail(struct hs_circuit *circuit, int64_t now_ms, unsigned jitter)
{
    circuit->failures++;
    int64_t ms = backoff_ms(circuit->failures);
    int64_t spread = ms * HS_CIRCUIT_JITTER_PERCENT / 100;

    circuit->open_until_ms = now_ms + ms - spread + (int64_t)(jitter % (unsigned)(2 * spread + 1));
    circuit->probing = false;
}

void
hs_circuit_abandon(struct hs_circuit *circuit)
{
    circuit->probing = false;
}

int64_t
hs_circuit_wait_ms(const struct hs_circuit *circuit, int64_t now_ms)
{
    return circuit->failures == 0 || now_ms >= circuit->open_until_ms ? 0 : circuit->open_until_ms - now_ms;
}
