/* Signs one client assertion with the key of an HSM, and prints it.
 *
 *   cc sign_assertion.c $(pkg-config --cflags --libs hsmart) -o sign_assertion
 *   ./sign_assertion /usr/lib/softhsm/libsofthsm2.so 'pkcs11:token=prod' file:/etc/hsmart/prod.pin \
 *                    'pkcs11:object=ehr-2026' my-client-id https://ehr.example/auth/token */
#include <hsmart/hsmart.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
    hsmart_err err = {0};
    hsmart_token *token = NULL;
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;
    char *jwt = NULL;

    if (argc != 7)
        return fprintf(stderr, "usage: %s MODULE TOKEN-URI PIN-SOURCE KEY-URI CLIENT-ID AUDIENCE\n", argv[0]), 2;
    const hsmart_token_options options = {.module = argv[1], .uri = argv[2], .pin_source = argv[3]};
    const hsmart_assertion_options assertion = {.client_id = argv[5], .audience = argv[6]};

    if (hsmart_token_open(&options, &token, &err) == HSMART_OK &&
        hsmart_key_find(token, argv[4], &key, &err) == HSMART_OK &&
        hsmart_signer_new(key, NULL, &signer, &err) == HSMART_OK &&
        hsmart_signer_assertion(signer, &assertion, &jwt, &err) == HSMART_OK)
        puts(jwt);
    else
        fprintf(stderr, "%s\nhint: %s\n", err.text, err.hint[0] ? err.hint : hsmart_code_cure(err.code));

    hsmart_string_free(jwt);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    hsmart_token_close(token);
    return hsmart_code_exit_status(err.code);
}
