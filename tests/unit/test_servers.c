/* The table of server families, and docs/servers.md, which is written from it:
 *     test_servers --write docs/servers.md      puts what the table says between the document's marks */
#include <stdlib.h>

#include "rows.h"

#include "file.h"
#include "servers.h"

#define DOC "docs/servers.md"
#define DOC_MAX_LEN (256U << 10)
#define BEGIN "<!-- from the table: begin -->\n"
#define END "<!-- from the table: end -->\n"

static void
put(struct hs_buf *out, const char *text)
{
    assert_int_equal(hs_buf_append_str(out, text, NULL), HSMART_OK);
}

/* ---- Columns in words: nothing is put for a default ---- */

static void
put_methods(const struct hs_server_row *row, struct hs_buf *out)
{
    static const struct {
        enum hs_auth_method method;
        const char *name;
    } methods[] = {{HS_AUTH_PRIVATE_KEY_JWT, "`private_key_jwt`"},
                   {HS_AUTH_SECRET_BASIC, "`client_secret_basic`"},
                   {HS_AUTH_SECRET_POST, "`client_secret_post`"}};

    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if ((row->auth_methods & methods[i].method) != 0) {
            put(out, out->len > 0 ? ", " : "");
            put(out, methods[i].name);
        }
}

static void
put_algs(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->algs != NULL ? row->algs : "");
}

static void
put_audience(const struct hs_server_row *row, struct hs_buf *out)
{
    static const char *const words[] = {"", "the issuer", "a string of its own, which has to be configured"};

    put(out, words[row->audience]);
}

static void
put_type(const struct hs_server_row *row, struct hs_buf *out)
{
    if (row->assertion_type != NULL)
        assert_int_equal(hs_buf_append_format(out, NULL, "`%s`", row->assertion_type), HSMART_OK);
}

static void
put_seconds(unsigned seconds, struct hs_buf *out)
{
    if (seconds >= 7200 && seconds % 3600 == 0)
        assert_int_equal(hs_buf_append_format(out, NULL, "%u h", seconds / 3600), HSMART_OK);
    else if (seconds != 0)
        assert_int_equal(hs_buf_append_format(out, NULL, "%u s", seconds), HSMART_OK);
}

static void
put_lifetime(const struct hs_server_row *row, struct hs_buf *out)
{
    put_seconds(row->lifetime_s, out);
}

static void
put_max_lifetime(const struct hs_server_row *row, struct hs_buf *out)
{
    put_seconds(row->max_lifetime_s, out);
}

static void
put_iat(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->needs_iat ? "needed" : "");
}

static void
put_nbf(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->wants_nbf ? "sent" : "");
}

static void
put_kid(const struct hs_server_row *row, struct hs_buf *out)
{
    static const char *const words[] = {"", "the UUID that the server gave the key",
                                        "the id that the server gave the key"};

    put(out, words[row->kid]);
}

static void
put_rsa(const struct hs_server_row *row, struct hs_buf *out)
{
    if (row->rsa_min_bits != 0)
        assert_int_equal(hs_buf_append_format(out, NULL, "%u bits", row->rsa_min_bits), HSMART_OK);
}

static void
put_jwks_url(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->jwks_url_needed ? "needed" : "");
}

static void
put_jwks_url_ec(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->jwks_url_needed_for_ec ? "needed" : "");
}

static void
put_jti(const struct hs_server_row *row, struct hs_buf *out)
{
    if (row->jti_max_len != 0)
        assert_int_equal(hs_buf_append_format(out, NULL, "%u characters", row->jti_max_len), HSMART_OK);
}

static void
put_scope(const struct hs_server_row *row, struct hs_buf *out)
{
    static const char *const words[] = {"", "may be left out", "not sent", NULL};

    if (row->scope == HS_SCOPE_LITERAL)
        assert_int_equal(hs_buf_append_format(out, NULL, "exactly `%s`", row->scope_literal), HSMART_OK);
    else
        put(out, words[row->scope]);
}

static void
put_basic(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->basic == HS_BASIC_RAW ? "raw" : "");
}

static void
put_client_id(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->sends_client_id ? "sent" : "");
}

static void
put_registration(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->registers_by_form ? "by form POST, answered by the client id" : "");
}

static void
put_jwks_cache(const struct hs_server_row *row, struct hs_buf *out)
{
    put_seconds(row->jwks_cache_max_s, out);
}

static void
put_expires_in(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->json_string_expires_in ? "a string of digits" : "");
}

static void
put_lacks(const struct hs_server_row *row, struct hs_buf *out)
{
    put(out, row->lacks != NULL ? row->lacks : "");
}

static const struct column {
    const char *name; /* as in `reported` */
    const char *words;
    void (*put)(const struct hs_server_row *row, struct hs_buf *out);
} columns[] = {
    {"auth_methods", "authentication", put_methods},
    {"algs", "algorithms, best first", put_algs},
    {"audience", "`aud`", put_audience},
    {"assertion_type", "`typ`", put_type},
    {"lifetime_s", "life of an assertion", put_lifetime},
    {"max_lifetime_s", "longest life of an assertion", put_max_lifetime},
    {"needs_iat", "`iat`", put_iat},
    {"wants_nbf", "`nbf`", put_nbf},
    {"kid", "`kid`", put_kid},
    {"rsa_min_bits", "smallest RSA key", put_rsa},
    {"jwks_url_needed", "JWKS URL", put_jwks_url},
    {"jwks_url_needed_for_ec", "JWKS URL for EC keys", put_jwks_url_ec},
    {"jti_max_len", "longest `jti`", put_jti},
    {"scope", "scope", put_scope},
    {"basic", "HTTP Basic", put_basic},
    {"sends_client_id", "`client_id` in the body", put_client_id},
    {"registers_by_form", "registration", put_registration},
    {"jwks_cache_max_s", "keeps a JWKS for up to", put_jwks_cache},
    {"json_string_expires_in", "`expires_in`", put_expires_in},
    {"lacks", "not done by hsmart yet", put_lacks},
};

static bool
is_word_of(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; at != NULL && (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
            return true;
    return false;
}

/* ---- The document ---- */

static void
put_row(const struct hs_server_row *row, struct hs_buf *out)
{
    assert_int_equal(hs_buf_append_format(out, NULL, "\n### `%s`: %s\n\n", row->name, row->title), HSMART_OK);
    if (row->notes != NULL)
        assert_int_equal(hs_buf_append_format(out, NULL, "%s\n\n", row->notes), HSMART_OK);
    put(out, "| what | value | known from |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < HS_ARRAY_LEN(columns); i++) {
        struct hs_buf value = {0};
        bool reported = !row->verified || is_word_of(row->reported, columns[i].name);
        columns[i].put(row, &value);
        if (value.len > 0)
            assert_int_equal(hs_buf_append_format(out, NULL, "| %s | %s | %s |\n", columns[i].words,
                                                  hs_buf_text(&value), reported ? "a report" : "the source"),
                             HSMART_OK);
        hs_buf_clear(&value);
    }
    assert_int_equal(hs_buf_append_format(out, NULL, "\nSource: %s.\n", row->source), HSMART_OK);
}

static void
put_table(struct hs_buf *out)
{
    for (size_t i = 0; i < hs_server_row_count; i++)
        put_row(&hs_server_rows[i], out);
    put(out, "\n");
}

/* The document with what the table says between its marks. */
static void
make_document(const char *path, struct hs_buf *old, struct hs_buf *out)
{
    hsmart_err err = {0};

    if (hs_file_read(path, DOC_MAX_LEN, old, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    const char *begin = strstr(hs_buf_text(old), BEGIN), *end = strstr(hs_buf_text(old), END);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(BEGIN);
    struct hs_span before = {old->data, (size_t)(begin - hs_buf_text(old))};
    assert_int_equal(hs_buf_append(out, before, NULL), HSMART_OK);
    put_table(out);
    put(out, end);
}

static void
the_document_says_what_the_table_says(void **state)
{
    (void)state;
    struct hs_buf old = {0}, new = {0}, path = {0};
    const char *source = getenv("HSMART_SOURCE");

    assert_non_null(source);
    assert_int_equal(hs_buf_append_format(&path, NULL, "%s/" DOC, source), HSMART_OK);
    make_document(hs_buf_text(&path), &old, &new);
    if (!hs_span_equal(hs_span_buf(&old), hs_span_buf(&new)))
        fail_msg("%s", DOC " is not what the table says: write it anew with test_servers --write " DOC);
    hs_buf_clear(&old);
    hs_buf_clear(&new);
    hs_buf_clear(&path);
}

/* ---- The table ---- */

static void
a_row_makes_sense(void **state)
{
    const struct hs_server_row *row = *state;
    struct hs_buf algs = {0};

    assert_ptr_equal(hs_server_by_name(row->name), row); /* so the name is there once */
    assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(row->name));
    assert_true(row->title != NULL && row->source != NULL);
    assert_true(row->auth_methods != 0);
    assert_true((row->scope == HS_SCOPE_LITERAL) == (row->scope_literal != NULL));
    assert_true(row->lifetime_s <= (row->max_lifetime_s != 0 ? row->max_lifetime_s : 300));
    assert_true(row->lifetime_s <= 300); /* SMART's limit holds everywhere */
    assert_true(!row->verified || row->reported == NULL || row->reported[0] != 0);
    put(&algs, row->algs != NULL ? row->algs : HS_SERVER_ALGS_DEFAULT);
    for (char *rest = (char *)algs.data; *rest != 0;) {
        size_t len = strcspn(rest, " ");
        char *next = rest[len] == ' ' ? rest + len + 1 : rest + len;
        rest[len] = 0;
        assert_non_null(hs_alg_by_name(rest));
        rest = next;
    }
    for (const char *rest = row->reported; rest != NULL && *rest != 0;) {
        bool found = false;
        size_t len = strcspn(rest, " ");
        for (size_t i = 0; i < HS_ARRAY_LEN(columns); i++)
            found = found || (strlen(columns[i].name) == len && strncmp(columns[i].name, rest, len) == 0);
        assert_true(found);
        rest += len + strspn(rest + len, " ");
    }
    hs_buf_clear(&algs);
}

static void
a_family_is_found_by_its_name(void **state)
{
    (void)state;
    struct hs_buf names = {0};

    assert_string_equal(hs_server_by_name(NULL)->name, "smart");
    assert_string_equal(hs_server_by_name("epic")->title, "Epic");
    assert_null(hs_server_by_name("Epic"));
    assert_null(hs_server_by_name(""));
    assert_int_equal(hs_server_names(&names, NULL), HSMART_OK);
    assert_non_null(strstr(hs_buf_text(&names), "smart, rfc7523bis, epic, "));
    hs_buf_clear(&names);
}

int
main(int argc, char **argv)
{
    static struct rows rows;

    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        struct hs_buf old = {0}, new = {0};
        make_document(argv[2], &old, &new);
        enum hsmart_code code = hs_file_write_atomic(argv[2], hs_span_buf(&new), 0644, NULL);
        hs_buf_clear(&old);
        hs_buf_clear(&new);
        return code == HSMART_OK ? 0 : 1;
    }
    for (size_t i = 0; i < hs_server_row_count; i++)
        rows_add(&rows, "a_row_makes_sense", a_row_makes_sense, (void *)(uintptr_t)&hs_server_rows[i]);
    ADD_TEST(&rows, a_family_is_found_by_its_name);
    ADD_TEST(&rows, the_document_says_what_the_table_says);
    return rows_run("servers", &rows);
}
