/* A ceremony's plan: whatever the file is, it is a good plan or an error with a line; a good one is what it was. */
#include "fuzz.h"
#include "plan.h"

static void
hear(void *arg, const char *line)
{
    (void)arg;
    FUZZ_REQUIRE(line[0] != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_plan plan = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_plan_parse((struct hs_span){data, len}, "plan", &plan, &err);

    if (code != HSMART_OK) {
        FUZZ_REQUIRE(code == HSMART_INPUT_MALFORMED);
        FUZZ_REQUIRE(strncmp(err.text, "plan:", 5) == 0);
        return 0;
    }
    FUZZ_REQUIRE(plan.title != NULL && plan.key_count > 0 && plan.role_count > 0);
    FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&plan.text), (struct hs_span){data, len}));
    (void)hs_plan_advise(&plan, 1700000000, hear, NULL);
    hs_plan_clear(&plan);
    return 0;
}
