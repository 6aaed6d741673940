/* Scopes: the first line as they are configured, the rest as a server says what it granted. */
#include "fuzz.h"
#include "scope.h"

static void
require_quiet_log(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)arg, (void)level;
    fuzz_require_line(line, 65536);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct hs_log log = {.write = require_quiet_log};
    struct hs_span rest = {data, len};
    char *requested = fuzz_take_line(&rest, '\n');
    char *granted = fuzz_text(rest.data, rest.len);
    struct hs_buf lost = {0};

    for (size_t i = 0; i < hs_server_row_count; i++) {
        const char *chosen = NULL;
        hsmart_err err = {0};
        enum hsmart_code code = hs_scope_choose(&hs_server_rows[i], requested, &chosen, &err);
        fuzz_require_story(code, &err);
        hs_scope_check(&hs_server_rows[i], requested, &log);
    }
    FUZZ_REQUIRE(hs_scope_lost(requested, NULL, &lost, NULL) == HSMART_OK && lost.len == 0);
    FUZZ_REQUIRE(hs_scope_lost(requested, requested, &lost, NULL) == HSMART_OK && lost.len == 0);
    FUZZ_REQUIRE(hs_scope_lost(requested, granted, &lost, NULL) == HSMART_OK);
    FUZZ_REQUIRE(lost.len <= strlen(requested));
    hs_buf_clear(&lost);
    hs_string_free(granted);
    hs_string_free(requested);
    return 0;
}
