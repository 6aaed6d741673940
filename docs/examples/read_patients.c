/* Reads all patients that a backend service may see, page by page, with the key of an HSM, and prints each page.
 *
 *   cc read_patients.c $(pkg-config --cflags --libs hsmart) -o read_patients
 *   ./read_patients /usr/lib/softhsm/libsofthsm2.so 'pkcs11:token=prod' file:/etc/hsmart/prod.pin \
 *                   'pkcs11:object=ehr-2026' my-client-id epic https://ehr.example/fhir [CA-FILE]
 *
 * The token is opened when the first assertion is needed: while an access token is in the cache, it is not touched. */
#include <hsmart/hsmart.h>
#include <stdio.h>

struct hsm {
    hsmart_token_options options;
    const char *key_uri;
    hsmart_token *token;
    hsmart_key *key;
    hsmart_signer *signer;
};

static enum hsmart_code
open_signer(void *arg, const char *algs, hsmart_signer **out_signer, hsmart_err *err)
{
    struct hsm *hsm = arg;
    const hsmart_signer_options options = {.server_algs = algs};
    enum hsmart_code code = HSMART_OK;

    if (hsm->token == NULL)
        code = hsmart_token_open(&hsm->options, &hsm->token, err);
    if (code == HSMART_OK && hsm->key == NULL)
        code = hsmart_key_find(hsm->token, hsm->key_uri, &hsm->key, err);
    if (code == HSMART_OK)
        code = hsmart_signer_new(hsm->key, &options, &hsm->signer, err);
    if (code == HSMART_OK)
        *out_signer = hsm->signer;
    return code;
}

static enum hsmart_code
print_page(void *arg, unsigned page, const hsmart_fhir_answer *answer, hsmart_err *err)
{
    (void)arg, (void)err;
    fprintf(stderr, "page %u: %zu bytes\n", page, answer->body_len);
    fwrite(answer->body, 1, answer->body_len, stdout);
    putchar('\n');
    return HSMART_OK;
}

static void
log_line(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)arg;
    if (level == HSMART_LOG_WARNING)
        fprintf(stderr, "warning: %s\n", line);
}

int
main(int argc, char **argv)
{
    hsmart_err err = {0};
    hsmart_client *client = NULL;

    if (argc < 8 || argc > 9)
        return fprintf(stderr, "usage: %s MODULE TOKEN-URI PIN-SOURCE KEY-URI CLIENT-ID SERVER FHIR-BASE [CA-FILE]\n",
                       argv[0]),
               2;
    struct hsm hsm = {.options = {.module = argv[1], .uri = argv[2], .pin_source = argv[3]}, .key_uri = argv[4]};
    const hsmart_client_options options = {
        .client_id = argv[5],
        .server = argv[6],
        .fhir_base = argv[7],
        .scope = "system/Patient.rs",
        .open_signer = open_signer,
        .signer_arg = &hsm,
        .network = {.ca_file = argv[8], .log = log_line}, /* argv ends with NULL: no further CA */
    };

    if (hsmart_client_new(&options, &client, &err) != HSMART_OK ||
        hsmart_client_get_all(client, "Patient?_count=2", NULL, print_page, NULL, &err) != HSMART_OK)
        fprintf(stderr, "%s\nhint: %s\n", err.text, err.hint[0] ? err.hint : hsmart_code_cure(err.code));

    hsmart_client_free(client); /* before the signer that it uses */
    hsmart_signer_free(hsm.signer);
    hsmart_key_free(hsm.key);
    hsmart_token_close(hsm.token);
    return hsmart_code_exit_status(err.code);
}
