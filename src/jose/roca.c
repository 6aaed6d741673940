#include "roca.h"

/* The primes are k * M + (65537^a mod M), with M the product of the first primes. Modulo each prime that divides M such
 * a prime is a power of 65537, and so is the product of two. That tells something where 65537 does not generate the
 * whole group: below 168, the largest prime that M has for every size of key, those are these. */
static const unsigned discriminating_primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                                 79, 97, 103, 107, 109, 127, 151, 157};
#define GENERATOR 65537U

static unsigned
remainder_of(struct hs_span number, unsigned divisor)
{
    unsigned rest = 0;

    for (size_t i = 0; i < number.len; i++)
        rest = (rest << 8 | number.data[i]) % divisor;
    return rest;
}

static bool
is_power_of_generator(unsigned element, unsigned prime)
{
    unsigned power = 1;

    do {
        if (power == element)
            return true;
        power = power * (GENERATOR % prime) % prime;
    } while (power != 1);
    return false;
}

bool
hs_roca_is_suspect(struct hs_span modulus)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(discriminating_primes); i++) {
        unsigned prime = discriminating_primes[i];
        if (!is_power_of_generator(remainder_of(modulus, prime), prime))
            return false;
    }
    return true;
}
