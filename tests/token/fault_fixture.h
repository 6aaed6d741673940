/* For tests of one token at a time: `fault`, and how cmocka makes and removes it. */
#ifndef HS_FAULT_FIXTURE_H
#define HS_FAULT_FIXTURE_H

#include "rows.h"

#include "fault_token.h"

static struct fault_token fault;

static inline int
make_ec(void **state)
{
    (void)state;
    fault_token_make(&fault, "ES256");
    return 0;
}

static inline int
make_rsa(void **state)
{
    (void)state;
    fault_token_make(&fault, "RS384");
    return 0;
}

static inline int
remove_token(void **state)
{
    (void)state;
    fault_token_remove(&fault);
    return 0;
}

static inline void
must_open(void)
{
    hsmart_err err = {0};

    if (fault_token_open(&fault, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

#endif
