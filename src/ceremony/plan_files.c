#include "plan_files.h"

#include <stdio.h>
#include <strings.h>

#include "err.h"

static const char *const endings[HS_PLAN_FILE_KINDS] = {[HS_PLAN_FILE_JWK] = ".jwk.json",
                                                        [HS_PLAN_FILE_PEM] = ".pem",
                                                        [HS_PLAN_FILE_REQUEST] = ".csr.pem",
                                                        [HS_PLAN_FILE_CERTIFICATE] = ".crt.pem"};

void
hs_plan_file_format(const struct hs_plan_key *key, enum hs_plan_file kind, char out[HS_PLAN_FILE_MAX_LEN])
{
    (void)snprintf(out, HS_PLAN_FILE_MAX_LEN, "%s%s", key->label, endings[kind]);
}

static bool
is_written(const struct hs_plan_key *key, enum hs_plan_file kind)
{
    return kind == HS_PLAN_FILE_REQUEST       ? key->certificate == HS_PLAN_REQUEST
           : kind == HS_PLAN_FILE_CERTIFICATE ? key->certificate == HS_PLAN_SELF_SIGNED
                                              : true;
}

/* What people and "hsmart-key audit" know the ceremony's own files by. */
static enum hsmart_code
check_label(const struct hs_plan_key *key, const char *file, hsmart_err *err)
{
    static const char *const taken[][2] = {{"record", "record.json"},
                                           {"jwks", "jwks.json"},
                                           {"plan", "plan.conf"},
                                           {"registration", "registration.json"},
                                           {"journal", "journal.json"}};
    static const char destroyed[] = "destroyed-";
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(taken) && code == HSMART_OK; i++)
        if (strcasecmp(key->label, taken[i][0]) == 0)
            code = hs_sections_error(err, file, key->line,
                                     "the files of a key \"%s\" would be taken for the ceremony's \"%s\"", key->label,
                                     taken[i][1]);
    if (code == HSMART_OK && strncasecmp(key->label, destroyed, sizeof destroyed - 1) == 0)
        code = hs_sections_error(err, file, key->line,
                                 "the files of a key \"%s\" would be taken for entries of destructions", key->label);
    if (code != HSMART_OK)
        hs_err_hint(err, "give the key another name, such as the service and the year: ehr-2027");
    return code;
}

static enum hsmart_code
check_pair(const struct hs_plan_key *first, const struct hs_plan_key *second, const char *file, hsmart_err *err)
{
    char first_name[HS_PLAN_FILE_MAX_LEN], second_name[HS_PLAN_FILE_MAX_LEN];

    for (unsigned i = 0; i < HS_PLAN_FILE_KINDS; i++)
        for (unsigned j = 0; j < HS_PLAN_FILE_KINDS; j++) {
            if (!is_written(first, i) || !is_written(second, j))
                continue;
            hs_plan_file_format(first, i, first_name);
            hs_plan_file_format(second, j, second_name);
            if (strcasecmp(first_name, second_name) != 0)
                continue;
            enum hsmart_code code =
                hs_sections_error(err, file, second->line, "keys \"%s\" and \"%s\" would both have a file \"%s\"",
                                  first->label, second->label, second_name);
            hs_err_hint(err, "give one another name; small and large letters are the same on many media");
            return code;
        }
    return HSMART_OK;
}

enum hsmart_code
hs_plan_check_files(const struct hs_plan *plan, const char *file, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < plan->key_count && code == HSMART_OK; i++) {
        code = check_label(&plan->keys[i], file, err);
        for (size_t j = 0; j < i && code == HSMART_OK; j++)
            code = check_pair(&plan->keys[j], &plan->keys[i], file, err);
    }
    return code;
}
