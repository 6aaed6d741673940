#include "assertion_view.h"

/* A rule per row: what it needs to be applied, and how. */
static const struct {
    const char *code;
    unsigned needs;
    hs_assertion_rule *run;
} rows[] = {
    {"L01", 0, hs_l01_parts},
    {"L02", HAVE_PARTS, hs_l02_base64url},
    {"L03", HAVE_TEXT, hs_l03_objects},
    {"L04", HAVE_HEADER, hs_l04_alg},
    {"L05", HAVE_ALG | HAVE_KEY, hs_l05_alg_fits_key},
    {"L06", HAVE_HEADER, hs_l06_kid},
    {"L07", HAVE_HEADER, hs_l07_typ},
    {"L08", HAVE_HEADER | HAVE_JKU_VERDICT, hs_l08_jku},
    {"L09", HAVE_HEADER, hs_l09_crit},
    {"L10", HAVE_HEADER, hs_l10_key_material},
    {"L11", HAVE_PAYLOAD, hs_l11_iss},
    {"L12", HAVE_PAYLOAD, hs_l12_sub},
    {"L13", HAVE_ISS_AND_SUB, hs_l13_iss_is_sub},
    {"L14", HAVE_SUBJECT | HAVE_CLIENT_ID, hs_l14_client_id},
    {"L15", HAVE_PAYLOAD, hs_l15_aud},
    {"L16", HAVE_AUD | HAVE_AUDIENCE, hs_l16_audience},
    {"L17", HAVE_PAYLOAD, hs_l17_one_audience},
    {"L18", HAVE_PAYLOAD, hs_l18_exp},
    {"L19", HAVE_PAYLOAD, hs_l19_times},
    {"L20", HAVE_EXP, hs_l20_expired},
    {"L21", HAVE_EXP, hs_l21_too_far},
    {"L22", HAVE_PAYLOAD, hs_l22_future},
    {"L23", HAVE_EXP, hs_l23_times_fit},
    {"L24", HAVE_PAYLOAD, hs_l24_jti},
    {"L25", HAVE_PAYLOAD, hs_l25_jti_type},
    {"L26", HAVE_JTI, hs_l26_jti_length},
    {"L27", HAVE_JTI | HAVE_MEMORY, hs_l27_jti_once},
    {"L28", HAVE_SIGNATURE | HAVE_LENGTH_RULE, hs_l28_length},
    {"L29", HAVE_SIGNATURE | HAVE_LENGTH_RULE, hs_l29_der},
    {"L30", HAVE_KEY | HAVE_FITTING_ALG | HAVE_RIGHT_LENGTH, hs_l30_verifies},
    {"L31", HAVE_JWKS | HAVE_LOOKUP, hs_l31_key_found},
    {"L32", HAVE_SERVED, hs_l32_jwks_url},
    {"L33", HAVE_SERVER | HAVE_HEADER | HAVE_PAYLOAD, hs_l33_server},
};

void
hs_assertion_check(struct hs_check *check, struct hs_span text, const struct hs_assertion_expectation *expectation)
{
    struct assertion_view view;

    hs_assertion_view_make(check, text, expectation, &view);
    for (size_t r = 0; r < HS_ARRAY_LEN(rows) && check->code == HSMART_OK; r++) {
        unsigned lacking = rows[r].needs & ~view.have;
        if (lacking != 0) {
            hs_check_skip(check, rows[r].code, hs_view_lack(lacking));
            continue;
        }
        hs_check_apply(check, rows[r].code);
        rows[r].run(check, &view);
    }
    hs_assertion_view_clear(&view);
}

enum hsmart_code
hs_check_assertion(struct hs_span text, const struct hs_assertion_expectation *expectation,
                   struct hs_report *out_report, hsmart_err *err)
{
    struct hs_check check = {.server = expectation->server, .err = err};

    hs_assertion_check(&check, text, expectation);
    return hs_check_finish(&check, out_report);
}
