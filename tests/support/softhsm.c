#define _GNU_SOURCE /* mkdtemp, setenv */
#include "softhsm.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "p11_token_init.h"

const char *
hs_test_softhsm_module(void)
{
    static const char *const paths[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"};
    const char *given = getenv("HSMART_SOFTHSM2");

    if (given != NULL)
        return given;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    return NULL;
}

void
hs_test_write(const struct hs_test_token *token, const char *name, const char *text, char *out_path)
{
    char path[128];

    assert_true(snprintf(path, sizeof path, "%s/%s", token->dir, name) < 96);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    if (out_path != NULL)
        strcpy(out_path, path);
}

static void
write_source(const struct hs_test_token *token, const char *name, const char *pin, char source[96])
{
    char path[96];

    hs_test_write(token, name, pin, path);
    assert_true(snprintf(source, 96, "file:%.80s", path) < 96);
}

void
hs_test_softhsm_make(struct hs_test_token *out_token)
{
    struct hs_test_token token = {.dir = "/tmp/hsmart-token-XXXXXX", .module = hs_test_softhsm_module()};
    char path[128], configuration[256];

    if (token.module == NULL) {
        print_message("SKIP SoftHSM2 is not installed\n");
        skip();
    }
    assert_non_null(mkdtemp(token.dir));
    (void)snprintf(path, sizeof path, "%s/tokens", token.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(configuration, sizeof configuration,
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", path);
    hs_test_write(&token, "softhsm2.conf", configuration, path);
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    write_source(&token, "pin", TEST_PIN "\n", token.pin_source);
    write_source(&token, "wrong", "999999\n", token.wrong_pin_source);
    write_source(&token, "so", TEST_SO_PIN "\n", token.so_pin_source);
    (void)snprintf(token.state, sizeof token.state, "%s/state", token.dir);
    *out_token = token;
}

void
hs_test_token_make(struct hs_test_token *out_token, const char *label)
{
    struct hs_test_token token = {0};
    hsmart_err err = {0};

    hs_test_softhsm_make(&token);
    (void)snprintf(token.uri, sizeof token.uri, "pkcs11:token=%s", label);
    hsmart_token_options options = hs_test_token_options(&token);
    hsmart_token_init_options init = {.label = label, .so_pin_source = token.so_pin_source};
    options.uri = NULL;
    if (hs_p11_token_init(&options, &init, &err) != HSMART_OK)
        fail_msg("cannot make a token: %s", err.text);
    *out_token = token;
}

hsmart_token_options
hs_test_token_options(const struct hs_test_token *token)
{
    return (hsmart_token_options){.module = token->module,
                                  .uri = token->uri[0] != 0 ? token->uri : NULL,
                                  .pin_source = token->pin_source,
                                  .state_directory = token->state};
}

static int
remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void
hs_test_token_remove(struct hs_test_token *token)
{
    if (token->dir[0] != 0)
        (void)nftw(token->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    *token = (struct hs_test_token){0};
}
