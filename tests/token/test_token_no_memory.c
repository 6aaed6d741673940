/* Every allocation of ours on the way to a signature fails once: the answer is HSMART_NO_MEMORY, nothing leaks (the
 * sanitizers watch), and with memory the next try succeeds, without an operator. Linked with --wrap for malloc, calloc
 * and strdup, so that the libraries' and the module's own are left alone.
 *
 *   test_token_no_memory [PATTERN]    only the tests whose name fits */
#include "rows.h"

#include "failing_malloc.h"
#include "fault_fixture.h"

/* ---- One operation each; it leaves things as they were ---- */

static enum hsmart_code
list_tokens(hsmart_err *err)
{
    hsmart_token_list *list = NULL;
    enum hsmart_code code = hsmart_token_list_read(&fault.options, &list, err);

    assert_int_equal(list != NULL, code == HSMART_OK);
    hsmart_token_list_free(list);
    return code;
}

static enum hsmart_code
open_token(hsmart_err *err)
{
    hsmart_token *token = NULL;
    enum hsmart_code code = hsmart_token_open(&fault.options, &token, err);

    assert_int_equal(token != NULL, code == HSMART_OK);
    hsmart_token_close(token);
    return code;
}

static enum hsmart_code
find_key(hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = hsmart_key_find(fault.token, "pkcs11:object=k", &key, err);

    assert_int_equal(key != NULL, code == HSMART_OK);
    hsmart_key_free(key);
    return code;
}

static enum hsmart_code
list_keys(hsmart_err *err)
{
    hsmart_key_list *list = NULL;
    enum hsmart_code code = hsmart_key_list_read(fault.token, &list, err);

    assert_int_equal(list != NULL, code == HSMART_OK);
    hsmart_key_list_free(list);
    return code;
}

static enum hsmart_code
make_signer(hsmart_err *err)
{
    hsmart_signer *signer = NULL;
    enum hsmart_code code = hsmart_signer_new(fault.key, NULL, &signer, err);

    assert_int_equal(signer != NULL, code == HSMART_OK);
    hsmart_signer_free(signer);
    return code;
}

static enum hsmart_code
sign(hsmart_err *err)
{
    static const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    char *jwt = NULL;
    enum hsmart_code code = hsmart_signer_assertion(fault.signer, &options, &jwt, err);

    assert_int_equal(jwt != NULL, code == HSMART_OK);
    hsmart_string_free(jwt);
    return code;
}

static enum hsmart_code
open_find_sign_close(hsmart_err *err)
{
    hsmart_token *token = NULL;
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;
    char *jwt = NULL;
    const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    enum hsmart_code code = hsmart_token_open(&fault.options, &token, err);

    if (code == HSMART_OK)
        code = hsmart_key_find(token, fault.key_uri, &key, err);
    if (code == HSMART_OK)
        code = hsmart_signer_new(key, NULL, &signer, err);
    if (code == HSMART_OK)
        code = hsmart_signer_assertion(signer, &options, &jwt, err);
    if (code == HSMART_OK)
        code = hsmart_token_stop(token, err);
    hsmart_string_free(jwt);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    hsmart_token_close(token);
    return code;
}

static enum hsmart_code
unlock_guard(hsmart_err *err)
{
    return hsmart_token_unlock_guard(&fault.options, err);
}

static struct operation {
    const char *name, *rules; /* what the token does at each try */
    enum hsmart_code (*run)(hsmart_err *err);
    unsigned least; /* allocations of ours that it makes at least */
} operations[] = {
    {"listing tokens", "", list_tokens, 20},
    {"opening a token", "", open_token, 30},
    {"finding a key", "", find_key, 20},
    {"listing keys", "", list_keys, 20},
    {"making a signer", "", make_signer, 5},
    {"signing", "", sign, 5},
    {"signing when the session is lost", "C_SignInit 1 rv=0xb3", sign, 6},
    {"signing when the login is lost", "C_SignInit 1 logout", sign, 20},
    {"signing when the module has to be restarted", "C_SignInit 1-3 rv=0x30", sign, 30},
    {"opening, finding, signing, stopping, closing", "", open_find_sign_close, 60},
    {"unlocking the guard", "", unlock_guard, 20},
};

#define ALLOCATIONS_MAX 2000U

static void
lack_of_memory_is_told_and_does_no_harm(void **state)
{
    const struct operation *row = *state;
    unsigned n, got_round = 0;
    bool reached = true;

    for (n = 0; n < ALLOCATIONS_MAX && reached; n++) {
        hsmart_err err = {0};
        fault_rules("%s", row->rules);
        hs_test_fail_allocation(n);
        enum hsmart_code code = row->run(&err);
        reached = hs_test_end_failing() > n;
        got_round += reached && code == HSMART_OK;
        if (code != HSMART_OK &&
            (code != HSMART_NO_MEMORY || err.code != code || strstr(err.text, "out of memory") == NULL))
            fail_msg("allocation %u: %s: %s", n, hsmart_code_name(code), err.text);
        fault_none();
        (void)fault_token_must_sign_within(&fault, 2 * FAULT_BACKOFF_MS);
    }
    print_message("%s: %u allocations failed, for %u of them another way was found\n", row->name, n - 1, got_round);
    assert_false(reached);
    assert_true(n > row->least);
    assert_in_range(fault_open_sessions(), 1, 3);
}

int
main(int argc, char **argv)
{
    static struct rows rows;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    ADD_ROWS(&rows, lack_of_memory_is_told_and_does_no_harm, operations);
    return _cmocka_run_group_tests("no memory on the token", rows.tests, rows.count, make_ec, remove_token);
}
