/* One list of tests for every token: what a user does, on the token that the environment names (tests/tokens/…). What a
 * token cannot do is skipped by name, on the words in P11_CAPS. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <hsmart/hsmart.h>
#include <p11-kit/pkcs11.h>

#include "bytes.h"
#include "file.h"
#include "jws.h"

#define CLIENT_ID "matrix-client"
#define AUDIENCE "https://ehr.example/token"

static char pin_source[128], wrong_pin_source[128], token_uri[128];

static const char *
need(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "%s is not set: run this by tests/token/matrix\n", name);
        exit(2);
    }
    return value;
}

static bool
can(const char *word)
{
    char padded[512], wanted[64];

    (void)snprintf(padded, sizeof padded, " %s ", need("P11_CAPS"));
    (void)snprintf(wanted, sizeof wanted, " %s ", word);
    return strstr(padded, wanted) != NULL;
}

static hsmart_token_options
token_options(const char *source)
{
    const char *init = need("P11_INIT");

    return (hsmart_token_options){.module = need("P11_MODULE"),
                                  .init_string = init[0] != 0 ? init : NULL,
                                  .uri = token_uri,
                                  .pin_source = source};
}

static hsmart_token *
open_token(void)
{
    hsmart_token_options options = token_options(pin_source);
    hsmart_token *token = NULL;
    hsmart_err err = {0};

    if (hsmart_token_open(&options, &token, &err) != HSMART_OK)
        fail_msg("cannot open the token: %s", err.text);
    return token;
}

static hsmart_key *
find_key(hsmart_token *token, const char *uri)
{
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    if (hsmart_key_find(token, uri, &key, &err) != HSMART_OK)
        fail_msg("cannot find %s: %s", uri, err.text);
    return key;
}

/* ---- The kinds of key ---- */

static struct kind {
    const char *alg, *label, *uri, *cap;
    unsigned bits;
} kinds[] = {
    {"RS384", "matrix-rsa", "pkcs11:object=matrix-rsa", "rsa3072", 3072},
    {"ES384", "matrix-ec", "pkcs11:object=matrix-ec", "ec384", 384},
};

static void
skip_when_it_cannot(const struct kind *kind)
{
    if (can(kind->cap))
        return;
    print_message("SKIP %s: this token makes no %s keys\n", need("P11_NAME"), kind->alg);
    skip();
}

/* ---- Tests, in the order in which they run ---- */

static void
it_is_listed_without_login(void **state)
{
    hsmart_token_options options = token_options(NULL);
    hsmart_token_list *list = NULL;
    hsmart_err err = {0};

    (void)state;
    if (hsmart_token_list_read(&options, &list, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(list->count, 1);
    assert_string_equal(list->tokens[0].label, need("P11_TOKEN"));
    assert_true(list->tokens[0].mechanism_count > 0);
    hsmart_token_list_free(list);
}

static void
another_label_is_absent(void **state)
{
    hsmart_token_options options = token_options(NULL);
    hsmart_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    options.uri = "pkcs11:token=no-such-token";
    assert_int_equal(hsmart_token_open(&options, &token, &err), HSMART_TOKEN_ABSENT);
    assert_non_null(strstr(err.text, need("P11_TOKEN")));
}

static void
a_wrong_pin_is_refused_and_then_the_right_one_works(void **state)
{
    hsmart_token_options options = token_options(wrong_pin_source);
    hsmart_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hsmart_token_open(&options, &token, &err), HSMART_PIN_REFUSED);
    assert_null(strstr(err.text, "99999"));
    hsmart_token_close(open_token());
}

static void
a_key_is_made_that_cannot_leave(void **state)
{
    const struct kind *kind = *state;
    hsmart_key_spec spec = {.alg = kind->alg, .label = kind->label};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    if (hsmart_key_generate(token, &spec, &key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    const hsmart_key_info *info = hsmart_key_get_info(key);
    assert_int_equal(info->problem, HSMART_OK);
    assert_int_equal(info->bits, kind->bits);
    assert_string_equal(info->alg, kind->alg);
    for (size_t i = 0; i < info->attribute_count; i++)
        if (info->attributes[i].required)
            assert_int_equal(info->attributes[i].reported, info->attributes[i].wanted);
    hsmart_key_free(key);
    hsmart_token_close(token);
}

static void
a_used_label_is_refused(void **state)
{
    const struct kind *kind = *state;
    hsmart_key_spec spec = {.alg = kind->alg, .label = kind->label};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    assert_int_equal(hsmart_key_generate(token, &spec, &key, &err), HSMART_KEY_EXISTS);
    hsmart_key_free(find_key(token, kind->uri)); /* and the older key is still there */
    hsmart_token_close(token);
}

static void
it_is_found_under_its_own_uri(void **state)
{
    const struct kind *kind = *state;

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    hsmart_key *by_label = find_key(token, kind->uri);
    hsmart_key *by_uri = find_key(token, hsmart_key_get_info(by_label)->uri);
    assert_string_equal(hsmart_key_get_info(by_label)->thumbprint, hsmart_key_get_info(by_uri)->thumbprint);
    hsmart_key_free(by_label);
    hsmart_key_free(by_uri);
    hsmart_token_close(token);
}

/* Reads the JWK that was exported and verifies the assertion with nothing but that. */
static void
assert_verifies(const hsmart_key *key, const char *alg, const char *jwt)
{
    char *json = NULL;
    struct hs_json_doc document = {0};
    struct hs_jwk jwk = {0};
    struct hs_jws jws = {0};

    assert_int_equal(hsmart_key_jwk(key, NULL, &json, NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_str(json), &document, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_parse(document.root, &jwk, NULL), HSMART_OK);
    assert_int_equal(hs_jws_parse(hs_span_str(jwt), &jws, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_verify(&jwk, hs_alg_by_name(alg), jws.signing_input, hs_span_buf(&jws.signature), NULL),
                     HSMART_OK);
    hs_jws_clear(&jws);
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&document);
    hsmart_string_free(json);
}

static void
it_signs_assertions_that_verify(void **state)
{
    const struct kind *kind = *state;
    const hsmart_assertion_options options = {.client_id = CLIENT_ID, .audience = AUDIENCE};
    hsmart_signer *signer = NULL;
    hsmart_err err = {0};

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    hsmart_key *key = find_key(token, kind->uri);
    if (hsmart_signer_new(key, NULL, &signer, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < 20; i++) {
        char *jwt = NULL;
        if (hsmart_signer_assertion(signer, &options, &jwt, &err) != HSMART_OK)
            fail_msg("%s", err.text);
        assert_verifies(key, kind->alg, jwt);
        hsmart_string_free(jwt);
    }
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    hsmart_token_close(token);
}

/* ---- In service: one signer, and what others do to it ---- */

struct service {
    hsmart_token *token;
    hsmart_key *key;
    hsmart_signer *signer;
};

static struct service
begin_service(const char *key_uri)
{
    struct service service = {.token = open_token()};
    hsmart_err err = {0};

    service.key = find_key(service.token, key_uri);
    if (hsmart_signer_new(service.key, NULL, &service.signer, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return service;
}

static void
end_service(struct service *service)
{
    hsmart_signer_free(service->signer);
    hsmart_key_free(service->key);
    hsmart_token_close(service->token);
}

static enum hsmart_code
sign_once(const struct service *service, char **out_jwt, hsmart_err *err)
{
    static const hsmart_assertion_options options = {.client_id = CLIENT_ID, .audience = AUDIENCE};

    return hsmart_signer_assertion(service->signer, &options, out_jwt, err);
}

static void
must_sign(const struct service *service, const char *alg)
{
    char *jwt = NULL;
    hsmart_err err = {0};

    if (sign_once(service, &jwt, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_verifies(service->key, alg, jwt);
    hsmart_string_free(jwt);
}

struct at_once {
    const struct service *service;
    pthread_t thread;
    unsigned good, stopped;
    char *jwts[5];
    hsmart_err err;
};

static void *
sign_five_times(void *arg)
{
    struct at_once *own = arg;

    for (size_t i = 0; i < HS_ARRAY_LEN(own->jwts); i++) {
        enum hsmart_code code = sign_once(own->service, &own->jwts[i], &own->err);
        own->good += code == HSMART_OK;
        own->stopped += code == HSMART_TOKEN_STOPPED;
    }
    return NULL;
}

/* Eight threads, five signatures each; with `stop` the token is stopped meanwhile. */
static void
sign_at_once(struct service *service, const char *alg, bool stop)
{
    struct at_once threads[8] = {0};
    unsigned good = 0, stopped = 0;
    hsmart_err err = {0};

    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++) {
        threads[i].service = service;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, sign_five_times, &threads[i]), 0);
    }
    if (stop && hsmart_token_stop(service->token, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
        good += threads[i].good;
        stopped += threads[i].stopped;
        if (!stop && threads[i].good != HS_ARRAY_LEN(threads[i].jwts))
            fail_msg("%s", threads[i].err.text);
        for (size_t j = 0; j < HS_ARRAY_LEN(threads[i].jwts); j++) {
            if (threads[i].jwts[j] != NULL)
                assert_verifies(service->key, alg, threads[i].jwts[j]);
            hsmart_string_free(threads[i].jwts[j]);
        }
    }
    assert_int_equal(good + stopped, HS_ARRAY_LEN(threads) * HS_ARRAY_LEN(threads[0].jwts));
}

static void
eight_threads_sign_at_once(void **state)
{
    const struct kind *kind = *state;

    skip_when_it_cannot(kind);
    struct service service = begin_service(kind->uri);
    sign_at_once(&service, kind->alg, false);
    end_service(&service);
}

static void
a_stop_answers_eight_threads(void **state)
{
    const struct kind *kind = *state;

    skip_when_it_cannot(kind);
    struct service service = begin_service(kind->uri);
    must_sign(&service, kind->alg);
    sign_at_once(&service, kind->alg, true);
    end_service(&service);
}

/* The module as another part of this program has it. p11-kit's have a list, and a state, of its own for each caller:
 * there nobody is disturbed. */
static CK_FUNCTION_LIST *
raw_module(void)
{
    CK_C_GetFunctionList get = NULL;
    static CK_FUNCTION_LIST *list;

    if (list != NULL)
        return list;
    void *module = dlopen(need("P11_MODULE"), RTLD_NOW | RTLD_LOCAL);

    assert_non_null(module);
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    assert_non_null(get);
    assert_int_equal(get(&list), CKR_OK);
    CK_RV rv = list->C_Initialize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    return list;
}

static void
it_signs_on_when_others_close_all_sessions(void **state)
{
    const struct kind *kind = *state;

    skip_when_it_cannot(kind);
    struct service service = begin_service(kind->uri);
    for (int i = 0; i < 3; i++) {
        must_sign(&service, kind->alg);
        (void)raw_module()->C_CloseAllSessions(hsmart_token_get_info(service.token)->slot_id);
    }
    must_sign(&service, kind->alg);
    end_service(&service);
}

static void
it_signs_on_when_others_log_out(void **state)
{
    const struct kind *kind = *state;
    CK_SESSION_HANDLE session = 0;

    skip_when_it_cannot(kind);
    struct service service = begin_service(kind->uri);
    must_sign(&service, kind->alg);
    assert_int_equal(raw_module()->C_OpenSession(hsmart_token_get_info(service.token)->slot_id, CKF_SERIAL_SESSION,
                                                 NULL, NULL, &session),
                     CKR_OK);
    (void)raw_module()->C_Logout(session);
    must_sign(&service, kind->alg);
    (void)raw_module()->C_CloseSession(session);
    must_sign(&service, kind->alg);
    end_service(&service);
}

static void
a_forked_child_is_told_and_the_parent_signs_on(void **state)
{
    const struct kind *kind = *state;
    int status = 0;

    skip_when_it_cannot(kind);
    struct service service = begin_service(kind->uri);
    must_sign(&service, kind->alg);
    pid_t child = fork();
    if (child == 0) {
        char *jwt = NULL;
        enum hsmart_code code = sign_once(&service, &jwt, NULL);
        end_service(&service);
        _exit(code == HSMART_FORKED && jwt == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 5; i++)
        must_sign(&service, kind->alg);
    end_service(&service);
}

/* hsmart makes no such keys itself. */
static void
make_key_that_asks_each_time(hsmart_token *token)
{
    static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    static CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, id[] = {0xea, 0xc4};
    static char label[] = "matrix-each";
    CK_FUNCTION_LIST *p11 = raw_module();
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public_template[] = {{CKA_TOKEN, &yes, 1},
                                      {CKA_VERIFY, &yes, 1},
                                      {CKA_EC_PARAMS, p384, sizeof p384},
                                      {CKA_ID, id, sizeof id},
                                      {CKA_LABEL, label, sizeof label - 1}};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, 1},     {CKA_PRIVATE, &yes, 1},
                                       {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1},
                                       {CKA_SIGN, &yes, 1},      {CKA_ALWAYS_AUTHENTICATE, &yes, 1},
                                       {CKA_ID, id, sizeof id},  {CKA_LABEL, label, sizeof label - 1}};
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_HANDLE made[2];

    assert_int_equal(p11->C_OpenSession(hsmart_token_get_info(token)->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                        NULL, NULL, &session),
                     CKR_OK);
    CK_RV rv = p11->C_Login(session, CKU_USER, (CK_BYTE *)(uintptr_t)need("P11_PIN"), strlen(need("P11_PIN")));
    assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
    assert_int_equal(p11->C_GenerateKeyPair(session, &mechanism, public_template, HS_ARRAY_LEN(public_template),
                                            private_template, HS_ARRAY_LEN(private_template), &made[0], &made[1]),
                     CKR_OK);
    assert_int_equal(p11->C_CloseSession(session), CKR_OK);
}

static void
a_key_that_asks_for_the_pin_each_time_signs(void **state)
{
    (void)state;
    if (!can("ctxauth")) {
        print_message("SKIP %s: its keys do not ask for the PIN each time\n", need("P11_NAME"));
        skip();
    }
    hsmart_token *token = open_token();
    make_key_that_asks_each_time(token);
    hsmart_token_close(token);
    struct service service = begin_service("pkcs11:object=matrix-each");
    for (int i = 0; i < 3; i++)
        must_sign(&service, "ES384");
    sign_at_once(&service, "ES384", false);
    end_service(&service);
}

static void
another_thumbprint_is_refused(void **state)
{
    const struct kind *kind = *state;
    const hsmart_signer_options options = {.thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"};
    hsmart_signer *signer = NULL;

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    hsmart_key *key = find_key(token, kind->uri);
    assert_int_equal(hsmart_signer_new(key, &options, &signer, NULL), HSMART_KEY_MISMATCH);
    hsmart_key_free(key);
    hsmart_token_close(token);
}

/* What each token gives away when it is attacked: nothing, but for those named here. */
static const struct leak {
    const char *token, *attempt;
    enum hsmart_attack_outcome outcome;
} leaks[] = {
    {"nss", "wrap with an AES key of our own by CKM_AES_KEY_WRAP_PAD", HSMART_ATTACK_BROKEN},
    {"nss", "copy with CKA_EXTRACTABLE true", HSMART_ATTACK_BROKEN},
    /* The module forgets what it promised; the TPM behind it keeps the key. */
    {"tpm2", "set CKA_EXTRACTABLE true", HSMART_ATTACK_WEAKENED},
    {"tpm2", "set CKA_SENSITIVE false", HSMART_ATTACK_WEAKENED},
};

static void
assert_told(const hsmart_attack_report *report, const struct leak *leak)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->attempts[i].name, leak->attempt) == 0 && report->attempts[i].outcome == leak->outcome)
            return;
    fail_msg("%s: not %s", leak->attempt, hsmart_attack_outcome_words(leak->outcome));
}

static void
the_attack_gets_what_the_token_is_known_to_give(void **state)
{
    const struct kind *kind = *state;
    hsmart_attack_report *report = NULL;
    hsmart_err err = {0};
    bool leaky = false;

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    hsmart_key *key = find_key(token, kind->uri);
    if (hsmart_key_attack(key, &report, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    if (getenv("HSMART_SHOW_ATTACK") != NULL)
        for (size_t i = 0; i < report->count; i++)
            print_message("%-70s %-12s %s; %s\n", report->attempts[i].name,
                          hsmart_attack_outcome_words(report->attempts[i].outcome), report->attempts[i].answer,
                          report->attempts[i].words);
    for (size_t i = 0; i < HS_ARRAY_LEN(leaks); i++) {
        if (strcmp(leaks[i].token, need("P11_NAME")) != 0)
            continue;
        assert_told(report, &leaks[i]);
        leaky = true;
    }
    assert_true(report->count > 10);
    if (!leaky)
        assert_int_equal(report->success_count, 0);
    hsmart_attack_report_free(report);
    hsmart_key_free(key);
    hsmart_token_close(token);
}

/* On the token where it keeps them, else in the life-cycle file, and told. */
static void
dates_are_kept_somewhere(void **state)
{
    const struct kind *kind = *state;
    const hsmart_family_options options = {.label = kind->label};
    hsmart_family *family = NULL;
    bool in_file = false;
    hsmart_err err = {0};

    skip_when_it_cannot(kind);
    hsmart_token *token = open_token();
    if (hsmart_family_read(token, &options, NULL, &family, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(family->count, 1);
    if (hsmart_family_set_dates(family, &family->keys[0], "2026-01-02", "2099-12-30", &in_file, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_family_free(family);
    hsmart_token_close(token);

    token = open_token();
    if (hsmart_family_read(token, &options, &(int64_t){1767225600}, &family, &err) != HSMART_OK) /* 2026-01-01 */
        fail_msg("%s", err.text);
    assert_string_equal(family->keys[0].start_date, "2026-01-02");
    assert_string_equal(family->keys[0].end_date, "2099-12-30");
    assert_int_equal(family->keys[0].dates_in_file, in_file);
    assert_int_equal(family->keys[0].state, HSMART_KEY_STAGED);
    print_message("%s keeps dates %s\n", need("P11_NAME"), in_file ? "in the file" : "on the token");
    hsmart_family_free(family);
    hsmart_token_close(token);
}

/* Through libp11, in a child process that is alone on the token. */
static void
a_certificate_request_is_signed(void **state)
{
    const struct kind *kind = *state;
    const hsmart_certificate_options options = {.subject = "CN=matrix.example", .timeout_ms = 30000};
    const hsmart_token_options token = token_options(pin_source);
    char *pem = NULL;
    hsmart_err err = {0};

    skip_when_it_cannot(kind);
    enum hsmart_code code = hsmart_certificate_make(&token, kind->uri, NULL, &options, &pem, &err);
    /* libp11 asks for CKM_RSA_PKCS, which the TPM's module does not do with a key that it made for a hash. */
    if (strcmp(need("P11_NAME"), "tpm2") == 0 && strcmp(kind->alg, "RS384") == 0) {
        assert_int_equal(code, HSMART_TOKEN_FAILED);
        assert_non_null(strstr(err.text, "Mechanism invalid"));
        assert_null(pem);
        return;
    }
    if (code != HSMART_OK)
        fail_msg("%s", err.text);
    assert_non_null(strstr(pem, "BEGIN CERTIFICATE REQUEST"));
    hsmart_string_free(pem);
}

static void
all_keys_are_listed(void **state)
{
    hsmart_key_list *list = NULL;
    hsmart_err err = {0};
    size_t expected = 0;

    (void)state;
    hsmart_token *token = open_token();
    if (hsmart_key_list_read(token, &list, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++)
        expected += can(kinds[i].cap);
    assert_int_equal(list->count, expected);
    hsmart_key_list_free(list);
    hsmart_token_close(token);
}

static void
write_pin(const char *name, const char *pin, char *out_source, size_t len)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/%s", need("P11_DIR"), name);
    if (hs_file_write_atomic(path, hs_span_str(pin), 0600, NULL) != HSMART_OK)
        exit(2);
    (void)snprintf(out_source, len, "file:%s", path);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
        bool per_kind;
    } rows[] = {
        {"it is listed without login", it_is_listed_without_login, false},
        {"another label is absent", another_label_is_absent, false},
        {"a wrong PIN is refused, and then the right one works", a_wrong_pin_is_refused_and_then_the_right_one_works,
         false},
        {"a key is made that cannot leave", a_key_is_made_that_cannot_leave, true},
        {"a used label is refused", a_used_label_is_refused, true},
        {"it is found under its own URI", it_is_found_under_its_own_uri, true},
        {"the attack gets what the token is known to give", the_attack_gets_what_the_token_is_known_to_give, true},
        {"it signs assertions that verify", it_signs_assertions_that_verify, true},
        {"eight threads sign at once", eight_threads_sign_at_once, true},
        {"a stop answers eight threads", a_stop_answers_eight_threads, true},
        {"it signs on when others close all sessions", it_signs_on_when_others_close_all_sessions, true},
        {"it signs on when others log out", it_signs_on_when_others_log_out, true},
        {"a forked child is told, and the parent signs on", a_forked_child_is_told_and_the_parent_signs_on, true},
        {"another thumbprint is refused", another_thumbprint_is_refused, true},
        {"dates are kept somewhere", dates_are_kept_somewhere, true},
        {"all keys are listed", all_keys_are_listed, false},
        {"a key that asks for the PIN each time signs", a_key_that_asks_for_the_pin_each_time_signs, false},
    };
    struct CMUnitTest tests[2 * HS_ARRAY_LEN(rows)] = {0};
    char names[2 * HS_ARRAY_LEN(rows)][128];
    size_t count = 0;

    write_pin("matrix.pin", need("P11_PIN"), pin_source, sizeof pin_source);
    write_pin("matrix-wrong.pin", "99999", wrong_pin_source, sizeof wrong_pin_source);
    (void)snprintf(token_uri, sizeof token_uri, "pkcs11:token=%s", need("P11_TOKEN"));
    for (size_t k = 0; argc > 1 && k < HS_ARRAY_LEN(kinds); k++) {
        const struct CMUnitTest one = {
            .name = names[0], .test_func = a_certificate_request_is_signed, .initial_state = &kinds[k]};
        (void)snprintf(names[0], sizeof names[0], "%s: a certificate request is signed, %s", need("P11_NAME"),
                       kinds[k].alg);
        if (strcmp(argv[1], kinds[k].alg) == 0)
            return _cmocka_run_group_tests("matrix", &one, 1, NULL, NULL);
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < (rows[i].per_kind ? HS_ARRAY_LEN(kinds) : 1); k++, count++) {
            (void)snprintf(names[count], sizeof names[count], "%s: %s%s%s", need("P11_NAME"), rows[i].name,
                           rows[i].per_kind ? ", " : "", rows[i].per_kind ? kinds[k].alg : "");
            tests[count] = (struct CMUnitTest){
                .name = names[count], .test_func = rows[i].run, .initial_state = rows[i].per_kind ? &kinds[k] : NULL};
        }
    }
    return _cmocka_run_group_tests("matrix", tests, count, NULL, NULL);
}
