#include "rows.h"

#include <stdlib.h>

#include "file.h"
#include "plan.h"
#include "plan_files.h"

#define CEREMONY "ceremony \"c\" { organisation = O\n purpose = P\n witnesses = 0 }\n"
#define ROLE "role officer { }\n"
#define KEY(more) "key k {\n alg = ES384\n start = 2027-01-01\n end = 2027-12-31\n purpose = P\n" more "}\n"
#define REQUIRED CEREMONY ROLE

/* ---- Good plans ---- */

static void
every_setting_is_read(void **state)
{
    static const char text[] = "ceremony \"Keys 2027\" { organisation = \"Example \\\"H\\\"\"\n purpose = 'P' "
                               "reference = R not-before = 2026-11-01\n"
                               " not-after = 2026-12-15 witnesses = 2 }\n"
                               "role admin { count = 3 } role officer { }\n"
                               "key k1 { alg = RS384 bits = 4096 start = 2027-01-01 end = 2027-12-31 purpose = P "
                               "clients = \"a, b\" certificate = request\n"
                               " subject = \"CN=x\" } # a comment\n"
                               "key k2 { alg = ES384 start = 2027-01-01 end = 2028-02-29 purpose = P certificate = "
                               "self-signed subject = \"CN=y\" }\n"
                               "policy { clock-tolerance = 60 tolerate = \"CKA_LOCAL, CKA_MODIFIABLE\" unreported = "
                               "refuse rehearsal = required previous = required }\n";
    struct hs_plan plan = {0};
    hsmart_err err = {0};

    (void)state;
    if (hs_plan_parse(span(text), "plan", &plan, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_string_equal(plan.title, "Keys 2027");
    assert_string_equal(plan.organisation, "Example \"H\"");
    assert_string_equal(plan.reference, "R");
    assert_string_equal(plan.not_before, "2026-11-01");
    assert_string_equal(plan.not_after, "2026-12-15");
    assert_int_equal(plan.witnesses, 2);
    assert_int_equal(plan.role_count, 2);
    assert_int_equal(plan.roles[0].count, 3);
    assert_int_equal(plan.roles[1].count, 1);
    assert_int_equal(plan.key_count, 2);
    assert_int_equal(plan.keys[0].bits, 4096);
    assert_string_equal(plan.keys[0].clients, "a, b");
    assert_int_equal(plan.keys[0].certificate, HS_PLAN_REQUEST);
    assert_int_equal(plan.keys[1].certificate, HS_PLAN_SELF_SIGNED);
    assert_string_equal(plan.keys[1].end, "2028-02-29");
    assert_int_equal(plan.clock_tolerance_s, 60);
    assert_true(plan.refuse_unreported && plan.require_rehearsal && plan.require_previous);
    assert_true(hs_plan_tolerates(&plan, "CKA_MODIFIABLE") && !hs_plan_tolerates(&plan, "CKA_DECRYPT"));
    assert_true(hs_span_equal(hs_span_buf(&plan.text), span(text)));
    hs_plan_clear(&plan);
}

/* SHA-256 of "abc" is in FIPS 180-2; of a plan it is the same function over the bytes as they are. */
static void
the_digest_is_over_the_bytes_of_the_file(void **state)
{
    static const char text[] = REQUIRED KEY("");
    uint8_t digest[HS_SHA256_LEN], known[] = {0xba, 0x78, 0x16, 0xbf};
    struct hs_plan plan = {0}, other = {0};

    (void)state;
    assert_int_equal(hs_sha256(span("abc"), digest, NULL), HSMART_OK);
    assert_memory_equal(digest, known, sizeof known);
    assert_int_equal(hs_plan_parse(span(text), "plan", &plan, NULL), HSMART_OK);
    assert_int_equal(hs_plan_parse(span(REQUIRED KEY("") " "), "plan", &other, NULL), HSMART_OK);
    assert_string_not_equal(plan.sha256_hex, other.sha256_hex);
    hs_plan_clear(&plan);
    hs_plan_clear(&other);
}

/* ---- Bad ones ---- */

static struct bad {
    const char *name, *text, *said;
} bads[] = {
    {"nothing", "", "plan: there is no section \"ceremony\""},
    {"no role", CEREMONY KEY(""), "plan: there is no role"},
    {"no key", REQUIRED, "plan: there is no key"},
    {"two ceremonies", CEREMONY "ceremony \"d\" { organisation = O purpose = P witnesses = 0 }",
     "plan:4: a plan is for one ceremony"},
    {"an unknown section", REQUIRED "token prod { }", "plan:5: there is no section \"token\""},
    {"an unknown setting", REQUIRED KEY("colour = red\n"), "plan:10: there is no setting \"colour\" here"},
    {"a required setting is missing", REQUIRED "key k {\n alg = ES384\n}",
     "plan:7: the key ends here without \"start\""},
    {"a setting twice", REQUIRED KEY("alg = ES384\n"), "plan:10: \"alg\" is set twice"},
    {"two keys of one name", REQUIRED KEY("") KEY(""), "plan:11: this section is there already, in line 5"},
    {"a name with a slash", REQUIRED "key \"a/b\" { }", "plan:5: the name of a key has"},
    {"a name that begins with a dot", REQUIRED "key .a { }", "plan:5: the name of a key has"},
    {"a key without a name", REQUIRED "key { }", "plan:5: this key has no name"},
    {"a policy with a name", REQUIRED KEY("") "policy strict { }", "plan:11: the policy has no name"},
    {"a role called witness", CEREMONY "role witness { }", "plan:4: witnesses are not a role"},
    {"no such algorithm", REQUIRED "key k {\n alg = HS256\n}", "plan:6: \"alg\" is no algorithm"},
    {"bits of an EC key", REQUIRED KEY("bits = 3072\n"), "plan:5: key \"k\" has \"bits\""},
    {"too few bits", REQUIRED "key k {\n bits = 1024 }", "plan:6: \"bits\" is not a whole number from 2048 to 16384"},
    {"odd bits", REQUIRED "key k { alg = RS384 bits = 2049 start = 2027-01-01 end = 2027-12-31 purpose = P }",
     "plan:5: \"bits\" is not a multiple"},
    {"a day that is none", REQUIRED "key k {\n start = 2027-02-29 }", "plan:6: \"start\" is not a day"},
    {"a text that is turned around", CEREMONY "# the end\xe2\x80\xae of it",
     "plan:4: a character that turns the direction"},
    {"a text that is turned around, in a value", "ceremony c {\n organisation = \"a\xe2\x81\xa6 b\" }",
     "plan:2: a character that turns"},
    {"a day in another form", REQUIRED "key k {\n start = 01.01.2027 }", "plan:6: \"start\" is not a day"},
    {"the end before the start", REQUIRED "key k { alg = ES384 start = 2027-01-01 end = 2026-12-31 purpose = P }",
     "plan:5: key \"k\" ends on"},
    {"a request without a subject", REQUIRED KEY("certificate = request\n"),
     "plan:5: key \"k\" has \"certificate\" or"},
    {"a subject without a request", REQUIRED KEY("subject = \"CN=x\"\n"), "plan:5: key \"k\" has \"certificate\" or"},
    {"a subject that is none", REQUIRED KEY("certificate = request subject = \"no name\"\n"), "plan:5: key \"k\": "},
    {"a certificate by an algorithm that has none",
     REQUIRED
     "key k { alg = PS384 start = 2027-01-01 end = 2027-12-31 purpose = P certificate = request subject = \"CN=x\" }",
     "plan:5: key \"k\": "},
    {"a client with a space", REQUIRED KEY("clients = \"a b\"\n"), "plan:10: \"clients\" has a name"},
    {"a choice that is none", REQUIRED KEY("") "policy {\n unreported = maybe }",
     "plan:12: \"unreported\" is none of: accept, refuse"},
    {"an attribute that cannot be tolerated", REQUIRED KEY("") "policy {\n tolerate = CKA_EXTRACTABLE }",
     "plan:12: CKA_EXTRACTABLE cannot be tolerated"},
    {"an attribute that is none", REQUIRED KEY("") "policy {\n tolerate = CKA_COLOUR }",
     "plan:12: \"tolerate\" names an attribute"},
    {"a negative number", "ceremony \"c\" {\n witnesses = -1 }", "plan:2: \"witnesses\" is not a whole number"},
    {"not UTF-8", "ceremony \"c\xff\" { }", "plan:1: the text is not UTF-8"},
    {"a section without an end", "ceremony \"c\" {\n", "plan:1: the section that begins here has no closing brace"},
    {"a brace too many", REQUIRED KEY("") "}", "plan:11: the kind of a section is expected"},
    {"no equal sign", "ceremony \"c\" {\n witnesses 1 }", "plan:2: \"=\" is missing after \"witnesses\""},
    {"no value", "ceremony \"c\" {\n witnesses = }", "plan:2: a value is expected"},
    {"a list", "ceremony \"c\" {\n witnesses = 1, 2 }", "plan:2: the name of a setting"},
    {"a variable", "ceremony \"c\" {\n purpose = \"${HOME}\" }",
     "plan:2: \"${\" would take a value from the environment"},
    {"the last day before the first",
     "ceremony c { organisation = O purpose = P witnesses = 0 not-before = 2026-02-01 not-after = 2026-01-01 }" ROLE
         KEY(""),
     "plan: not-after is before"},
};

static void
a_bad_plan_is_refused_with_file_and_line(void **state)
{
    const struct bad *row = *state;
    struct hs_plan plan = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_plan_parse(span(row->text), "plan", &plan, &err), HSMART_INPUT_MALFORMED);
    if (strncmp(err.text, row->said, strlen(row->said)) != 0)
        fail_msg("it says \"%s\"", err.text);
    assert_null(plan.title);
}

static void
a_plan_that_is_cut_off_anywhere_is_no_crash(void **state)
{
    static const char text[] = REQUIRED KEY("clients = \"a, b\"\n") "policy { tolerate = \"CKA_LOCAL\" }\n";
    const size_t whole = sizeof text - 2; /* without the last line end */
    const size_t before_policy = sizeof REQUIRED KEY("clients = \"a, b\"\n") - 2;

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct hs_plan plan = {0};
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        assert_int_equal(hs_plan_parse((struct hs_span){(const uint8_t *)text, len}, "plan", &plan, NULL) == HSMART_OK,
                         len >= whole || len == before_policy || len == before_policy + 1);
        hs_plan_clear(&plan);
        for (int byte = 0; byte < 256; byte += 5) {
            copy[len] = (char)byte;
            enum hsmart_code code =
                hs_plan_parse((struct hs_span){(const uint8_t *)copy, sizeof text - 1}, "plan", &plan, NULL);
            assert_true(code == HSMART_OK || code == HSMART_INPUT_MALFORMED);
            hs_plan_clear(&plan);
        }
    }
}

/* ---- Times ---- */

static struct time_text {
    const char *name, *text;
    bool good;
    int64_t time_s;
} time_texts[] = {
    {"the epoch", "1970-01-01T00:00:00Z", true, 0},
    {"a leap day", "2028-02-29T23:59:59Z", true, 1835481599},
    {"a February that has no such day", "2027-02-29T00:00:00Z", false, 0},
    {"hour 24", "2027-01-01T24:00:00Z", false, 0},
    {"month 13", "2027-13-01T00:00:00Z", false, 0},
    {"no zone", "2027-01-01T00:00:00", false, 0},
    {"before the epoch", "1969-12-31T23:59:59Z", false, 0},
    {"letters", "2027-o1-01T00:00:00Z", false, 0},
};

static void
times_are_read_and_written(void **state)
{
    const struct time_text *row = *state;
    char again[HS_TIME_TEXT_MAX];
    int64_t time_s = -1;

    assert_int_equal(hs_time_parse(row->text, &time_s), row->good);
    if (!row->good)
        return;
    assert_int_equal(time_s, row->time_s);
    hs_time_format(time_s, again);
    assert_string_equal(again, row->text);
}

static struct day {
    const char *name, *now;
    enum hsmart_code code;
} days[] = {
    {"the day before the first", "2026-10-31T23:59:59Z", HSMART_POLICY_REFUSED},
    {"the first second of the first day", "2026-11-01T00:00:00Z", HSMART_OK},
    {"the last second of the last day", "2026-12-15T23:59:59Z", HSMART_OK},
    {"the day after the last", "2026-12-16T00:00:00Z", HSMART_POLICY_REFUSED},
};

static void
a_ceremony_is_held_on_its_days(void **state)
{
    const struct day *row = *state;
    struct hs_plan plan = {.not_before = (char *)(uintptr_t) "2026-11-01",
                           .not_after = (char *)(uintptr_t) "2026-12-15"};
    int64_t now_s = 0;

    assert_true(hs_time_parse(row->now, &now_s));
    assert_int_equal(hs_plan_check_day(&plan, now_s, NULL), row->code);
}

/* ---- Advice ---- */

static struct advised {
    const char *name, *text, *line; /* NULL: nothing is said */
} adviseds[] = {
    {"one person", CEREMONY "role o { }" KEY("clients = c"), "one person alone"},
    {"no witness", CEREMONY "role o { count = 2 }" KEY("clients = c"), "nobody watches"},
    {"an uncommon algorithm", CEREMONY ROLE "key k { alg = ES256 start = 2027-01-01 end = 2027-12-31 purpose = P }",
     "only some servers take"},
    {"no client", CEREMONY ROLE KEY(""), "names no client"},
    {"a long life", CEREMONY ROLE "key k { alg = ES384 start = 2027-01-01 end = 2031-12-31 purpose = P }",
     "more than two years"},
    {"an end that is past", CEREMONY ROLE "key k { alg = ES384 start = 2025-01-01 end = 2025-12-31 purpose = P }",
     "which is past"},
    {"a small modulus",
     CEREMONY ROLE "key k { alg = RS384 bits = 2048 start = 2027-01-01 end = 2027-12-31 purpose = P }", "2048 bits"},
    {"a good plan", "ceremony c { organisation = O purpose = P witnesses = 1 } role o { }" KEY("clients = c"), NULL},
};

struct heard {
    const char *line;
    bool found;
};

static void
hear(void *arg, const char *line)
{
    struct heard *heard = arg;

    heard->found = heard->found || (heard->line != NULL && strstr(line, heard->line) != NULL);
}

static void
what_is_worth_a_second_look_is_said(void **state)
{
    const struct advised *row = *state;
    struct hs_plan plan = {0};
    struct heard heard = {.line = row->line};
    int64_t now_s = 0;
    hsmart_err err = {0};

    assert_true(hs_date_parse("2026-11-25", &now_s));
    if (hs_plan_parse(span(row->text), "plan", &plan, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    unsigned count = hs_plan_advise(&plan, now_s, hear, &heard);
    assert_int_equal(count > 0, row->line != NULL);
    assert_int_equal(heard.found, row->line != NULL);
    hs_plan_clear(&plan);
}

/* ---- The files that it would write ---- */

#define NAMED(label, more) "key " label " { alg = ES384 start = 2027-01-01 end = 2027-12-31 purpose = P " more "}\n"
static struct files {
    const char *name, *keys, *said; /* NULL: nothing is wrong */
} files[] = {
    {"two keys", NAMED("ehr-rsa", "") NAMED("ehr-ec", ""), NULL},
    {"a key called record", NAMED("record", ""), "plan:3: the files of a key \"record\" would be taken"},
    {"a key called jwks", NAMED("jwks", ""), "plan:3: the files of a key \"jwks\" would be taken"},
    {"in large letters", NAMED("JWKS", ""), "plan:3: the files of a key \"JWKS\" would be taken"},
    {"a key called plan", NAMED("plan", ""), "plan:3: the files of a key \"plan\" would be taken"},
    {"a key called registration", NAMED("registration", ""), "plan:3: the files of a key \"registration\""},
    {"a key whose files are taken for a destruction", NAMED("destroyed-1", ""), "plan:3: the files of a key"},
    {"names that begin so are others", NAMED("record-2027", "") NAMED("jwks2", "") NAMED("destroyed", ""), NULL},
    {"names that differ by large letters alone", NAMED("ehr", "") NAMED("EHR", ""),
     "plan:4: keys \"ehr\" and \"EHR\" would both have a file \"EHR.jwk.json\""},
    {"a request and a public key", NAMED("a", "certificate = request subject = \"CN=x\" ") NAMED("a.csr", ""),
     "plan:4: keys \"a\" and \"a.csr\" would both have a file \"a.csr.pem\""},
    {"a public key and a certificate", NAMED("a.crt", "") NAMED("a", "certificate = self-signed subject = \"CN=x\" "),
     "plan:4: keys \"a.crt\" and \"a\" would both have a file \"a.crt.pem\""},
    {"without a request they are two", NAMED("a", "") NAMED("a.csr", ""), NULL},
};

static void
every_file_has_a_name_of_its_own(void **state)
{
    const struct files *row = *state;
    struct hs_buf text = {0};
    struct hs_plan plan = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_format(&text, NULL,
                                          "ceremony c { organisation = O purpose = P witnesses = 0 }\n%s%s", ROLE,
                                          row->keys),
                     HSMART_OK);
    if (hs_plan_parse(hs_span_buf(&text), "plan", &plan, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(hs_plan_check_files(&plan, "plan", &err), row->said == NULL ? HSMART_OK : HSMART_INPUT_MALFORMED);
    if (row->said != NULL && strncmp(err.text, row->said, strlen(row->said)) != 0)
        fail_msg("it says \"%s\"", err.text);
    hs_plan_clear(&plan);
    hs_buf_clear(&text);
}

/* ---- The documents ---- */

static void
read_document(const char *name, struct hs_buf *out)
{
    char path[1024];
    const char *source = getenv("HSMART_SOURCE");

    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/%s", source, name);
    assert_int_equal(hs_file_read(path, HS_SECTIONS_MAX_LEN, out, NULL), HSMART_OK);
}

static void
the_document_has_every_setting_and_no_other(void **state)
{
    struct hs_buf doc = {0};
    const struct hs_plan_setting *row;
    size_t count = 0, lines = 0;

    (void)state;
    read_document("docs/formats/ceremony-plan.md", &doc);
    for (; (row = hs_plan_setting_at(count)) != NULL; count++) {
        char line[400];
        (void)snprintf(line, sizeof line, "\n| `%s` | `%s` | %s | %s |\n", row->section, row->name,
                       row->required ? "required" : row->fallback, row->meaning);
        if (strstr(hs_buf_text(&doc), line) == NULL)
            fail_msg("not in the document: %s", line);
    }
    for (const char *at = hs_buf_text(&doc); (at = strstr(at, "\n| `")) != NULL; at++)
        lines++;
    assert_int_equal(lines, count);
    hs_buf_clear(&doc);
}

static void
the_example_is_a_good_plan(void **state)
{
    struct hs_buf text = {0};
    struct hs_plan plan = {0};
    hsmart_err err = {0};
    struct heard heard = {0};
    int64_t now_s = 0;

    (void)state;
    assert_true(hs_date_parse("2026-11-25", &now_s));
    read_document("docs/examples/ceremony-plan.conf", &text);
    if (hs_plan_parse(hs_span_buf(&text), "example", &plan, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(hs_plan_advise(&plan, now_s, hear, &heard), 0);
    hs_plan_clear(&plan);
    hs_buf_clear(&text);
}

int
main(void)
{
    static struct rows rows;

    ADD_TEST(&rows, every_setting_is_read);
    ADD_TEST(&rows, the_digest_is_over_the_bytes_of_the_file);
    ADD_ROWS(&rows, a_bad_plan_is_refused_with_file_and_line, bads);
    ADD_TEST(&rows, a_plan_that_is_cut_off_anywhere_is_no_crash);
    ADD_ROWS(&rows, times_are_read_and_written, time_texts);
    ADD_ROWS(&rows, a_ceremony_is_held_on_its_days, days);
    ADD_ROWS(&rows, what_is_worth_a_second_look_is_said, adviseds);
    ADD_ROWS(&rows, every_file_has_a_name_of_its_own, files);
    ADD_TEST(&rows, the_document_has_every_setting_and_no_other);
    ADD_TEST(&rows, the_example_is_a_good_plan);
    return rows_run("plan", &rows);
}
