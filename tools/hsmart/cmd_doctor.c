/* hsmart doctor: from the outside in, what works, what does not, and why. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "err.h"
#include "json.h"
#include "lack.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "text.h"
#include "verbs.h"

#define LINE_MAX_LEN 1024U

#define OWN(member) offsetof(struct doctor_options, member)

static const struct cli_option doctor_only_options[] = {
    {"login", 0, NULL, CLI_FLAG, OWN(login), "log in to the token, and look at the key and an assertion of it", 0, 0},
    {"online", 0, NULL, CLI_FLAG, OWN(online), "--login, then ask for an access token and read from FHIR with it", 0,
     0},
    {"jwks", 0, "FILE|URL", CLI_TEXT, OWN(jwks), "where the client's keys are published; default: the client's jku", 0,
     0},
};
static const struct cli_group doctor_group = CLI_GROUP("Doctor", doctor_only_options);

/* ---- The probes, from the outside in ---- */

#define TOKEN_SIDE (DR_CLIENT | DR_KEY_METHOD)

static const struct probe probes[] = {
    {"configuration", 0, 1, doctor_configuration},
    {"files", DR_CLIENT, 2, doctor_files},
    {"module", TOKEN_SIDE, 3, doctor_module},
    {"token", TOKEN_SIDE | DR_MODULE, 4, doctor_token},
    {"pin", TOKEN_SIDE | DR_TOKEN, 5, doctor_pin},
    {"login", TOKEN_SIDE | DR_TOKEN | DR_LOGIN_WANTED | DR_PIN_FREE, 6, doctor_login},
    {"key", TOKEN_SIDE | DR_LOGIN_WANTED | DR_LOGGED_IN, 7, doctor_key},
    {"key policy", TOKEN_SIDE | DR_LOGIN_WANTED | DR_KEY, 11, doctor_policy},
    {"discovery", DR_CLIENT | DR_FHIR_BASE, 8, doctor_discovery},
    {"clock", DR_CLIENT | DR_SERVER_URL, 9, doctor_clock},
    {"jwks", TOKEN_SIDE | DR_JWKS_KNOWN, 12, doctor_jwks},
    {"kid", TOKEN_SIDE | DR_LOGIN_WANTED | DR_KEY | DR_JWKS, 10, doctor_kid},
    {"assertion", TOKEN_SIDE | DR_LOGIN_WANTED | DR_KEY | DR_ENDPOINT, 13, doctor_assertion},
    {"access token", DR_CLIENT | DR_ONLINE_WANTED | DR_CAN_AUTHENTICATE | DR_ENDPOINT, 14, doctor_access_token},
    {"scope", DR_CLIENT | DR_ONLINE_WANTED | DR_ACCESS_TOKEN | DR_SCOPE, 15, doctor_scope},
    {"fhir", DR_CLIENT | DR_ONLINE_WANTED | DR_ACCESS_TOKEN | DR_FHIR_BASE, 16, doctor_fhir},
};

/* Why a probe is skipped; the most basic lack says it. */
static const struct hs_lack lacks[] = {
    {DR_CLIENT, "there is no client to look at"},
    {DR_KEY_METHOD, "the client has no key"},
    {DR_MODULE, "the module is not loaded"},
    {DR_TOKEN, "the token is not there"},
    {DR_LOGIN_WANTED, "give --login"},
    {DR_ONLINE_WANTED, "give --online"},
    {DR_PIN_FREE, "the PIN must not be tried"},
    {DR_LOGGED_IN, "the login failed"},
    {DR_KEY, "there is no key that may sign"},
    {DR_JWKS_KNOWN, "give --jwks FILE or URL, or set the client's jku"},
    {DR_JWKS, "there is no key set"},
    {DR_FHIR_BASE, "fhir-base is not set"},
    {DR_SERVER_URL, "no URL of the server is known"},
    {DR_ENDPOINT, "the token endpoint is not known"},
    {DR_CAN_AUTHENTICATE, "the client cannot authenticate"},
    {DR_ACCESS_TOKEN, "there is no access token"},
    {DR_SCOPE, "no scope is asked for"},
};

/* ---- Lines ---- */

static void
add_line(struct doctor *doctor, enum doctor_verdict verdict, const char *text, const char *cure)
{
    struct doctor_line line = {.probe = doctor->probe, .verdict = verdict};

    if (doctor->code == HSMART_OK)
        doctor->code = hs_array_grow((void **)&doctor->lines, doctor->count, sizeof line, doctor->err);
    if (doctor->code == HSMART_OK)
        doctor->code = hs_strdup(text, &line.text, doctor->err);
    if (doctor->code == HSMART_OK)
        doctor->code = hs_strdup_or_null(cure, &line.cure, doctor->err);
    if (doctor->code != HSMART_OK) {
        hs_string_free(line.text);
        return;
    }
    hs_text_sanitize(line.text);
    if (line.cure != NULL)
        hs_text_sanitize(line.cure);
    doctor->lines[doctor->count++] = line;
}

void
doctor_tell(struct doctor *doctor, enum doctor_verdict verdict, const char *cure, const char *format, ...)
{
    char text[LINE_MAX_LEN];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_line(doctor, verdict, text, cure);
}

void
doctor_tell_error(struct doctor *doctor, enum doctor_verdict verdict, const hsmart_err *err)
{
    if (err->code == HSMART_NO_MEMORY) {
        if (doctor->code == HSMART_OK)
            doctor->code = hs_err_no_memory(doctor->err);
        return;
    }
    add_line(doctor, verdict, err->text, err->hint[0] != 0 ? err->hint : hsmart_code_cure(err->code));
}

/* ---- Telling ---- */

/* The same words on a terminal and in a file. */
static const char *const marks[] = {"ok", "warn", "FAIL", "skipped"}, *const json_words[] = {"ok", "warn", "fail",
                                                                                             "skipped"};

static size_t
count_of(const struct doctor *doctor, enum doctor_verdict verdict)
{
    size_t count = 0;

    for (size_t i = 0; i < doctor->count; i++)
        count += doctor->lines[i].verdict == verdict ? 1 : 0;
    return count;
}

/* The next line of this verdict by rank, after `last`; NULL at the end. Lines of one rank stay in their order. */
static const struct doctor_line *
next_likely(const struct doctor *doctor, enum doctor_verdict verdict, const struct doctor_line *last)
{
    const struct doctor_line *best = NULL;

    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_line *line = &doctor->lines[i];
        bool is_after = last == NULL || line->probe->rank > last->probe->rank ||
                        (line->probe->rank == last->probe->rank && line > last);
        if (line->verdict == verdict && is_after && (best == NULL || line->probe->rank < best->probe->rank))
            best = line;
    }
    return best;
}

/* What failed, the likeliest cause of the rest first; warnings only where nothing failed. */
static void
put_likely(struct text *text, const struct doctor *doctor)
{
    enum doctor_verdict verdict = count_of(doctor, DOCTOR_FAIL) > 0 ? DOCTOR_FAIL : DOCTOR_WARN;
    const struct doctor_line *line = NULL;
    unsigned number = 0;

    if (count_of(doctor, verdict) == 0) {
        text_put(text, "\nNothing is wrong with what was looked at.\n");
        return;
    }
    text_put(text, verdict == DOCTOR_FAIL ? "\nMost likely first:\n" : "\nNothing failed. Worth a look:\n");
    while ((line = next_likely(doctor, verdict, line)) != NULL) {
        text_put(text, "%u. %s: ", ++number, line->probe->name);
        text_put_safe(text, line->text);
        text_put(text, "\n");
        if (line->cure != NULL)
            text_put(text, "   %s\n", line->cure);
    }
}

static enum hsmart_code
format_text(const struct doctor *doctor, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    size_t mark_width = text_width(marks[DOCTOR_SKIPPED]), name_width = strlen("configuration");

    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_line *line = &doctor->lines[i];
        bool is_first = i == 0 || doctor->lines[i - 1].probe != line->probe;
        text_put_padded(&text, marks[line->verdict], mark_width);
        text_put(&text, "  ");
        text_put_padded(&text, is_first || line->verdict != DOCTOR_OK ? line->probe->name : "", name_width);
        text_put(&text, "  ");
        text_put_safe(&text, line->text);
        text_put(&text, "\n");
        if (line->cure != NULL)
            text_put(&text, "%*scure: %s\n", (int)(mark_width + name_width + 4), "", line->cure);
    }
    put_likely(&text, doctor);
    return text_finish(&text, err);
}

static void
put_json_line(struct hs_json_writer *writer, const struct doctor_line *line)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "probe", line->probe->name);
    hs_json_member_text(writer, "verdict", json_words[line->verdict]);
    hs_json_member_text(writer, "text", line->text);
    if (line->cure != NULL)
        hs_json_member_text(writer, "cure", line->cure);
    hs_json_end_object(writer);
}

static enum hsmart_code
format_json(const struct doctor *doctor, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    size_t fails = count_of(doctor, DOCTOR_FAIL), warns = count_of(doctor, DOCTOR_WARN);
    const struct doctor_line *line = NULL;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "client", doctor->target.options.name);
    hs_json_member_text(&writer, "server", doctor->server.name);
    hs_json_member_text(&writer, "verdict", json_words[fails > 0 ? DOCTOR_FAIL : warns > 0 ? DOCTOR_WARN : DOCTOR_OK]);
    hs_json_member_integer(&writer, "fails", (int64_t)fails);
    hs_json_member_integer(&writer, "warns", (int64_t)warns);
    hs_json_name(&writer, "lines");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < doctor->count; i++)
        put_json_line(&writer, &doctor->lines[i]);
    hs_json_end_array(&writer);
    hs_json_name(&writer, "likely");
    hs_json_begin_array(&writer);
    while ((line = next_likely(doctor, DOCTOR_FAIL, line)) != NULL)
        put_json_line(&writer, line);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
tell(const struct doctor *doctor, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    size_t fails = count_of(doctor, DOCTOR_FAIL);
    enum hsmart_code code =
        doctor->own->client.common.json ? format_json(doctor, &answer, err) : format_text(doctor, &answer, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    if (code != HSMART_OK || fails == 0)
        return code;
    (void)hs_err_set(err, HSMART_CHECK_FAILED, "%zu %s", fails,
                     fails == 1 ? "thing does not work" : "things do not work");
    hs_err_hint(err, "mend the first of the list, then look again");
    return HSMART_CHECK_FAILED;
}

/* ---- The work ---- */

static void
probe(struct doctor *doctor, const struct probe *row)
{
    unsigned lacking = row->needs & ~doctor->have;
    struct progress progress = {0};

    doctor->probe = row;
    if (lacking != 0) {
        doctor_tell(doctor, DOCTOR_SKIPPED, NULL, "not looked at: %s",
                    hs_lack_words(lacks, HS_ARRAY_LEN(lacks), lacking));
        return;
    }
    progress_begin(&progress, "looking at the %s", row->name);
    row->run(doctor);
    progress_end(&progress);
}

static void
doctor_clear(struct doctor *doctor)
{
    hsmart_access_token_free(doctor->access_token);
    hsmart_client_free(doctor->connection);
    hsmart_token_close(doctor->token);
    client_target_clear(&doctor->target);
    hsmart_discovery_free(doctor->discovery);
    jwks_fetch_clear(&doctor->jwks);
    for (size_t i = 0; i < doctor->count; i++) {
        hs_string_free(doctor->lines[i].text);
        hs_string_free(doctor->lines[i].cure);
    }
    hs_free(doctor->lines);
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct doctor_options *own = options;
    struct doctor doctor = {.own = own, .client = own->client, .err = err};

    (void)call;
    doctor.code = output_check(NULL, err);
    doctor.have |= own->login || own->online ? DR_LOGIN_WANTED : 0U;
    doctor.have |= own->online ? DR_ONLINE_WANTED : 0U;
    for (size_t i = 0; i < HS_ARRAY_LEN(probes) && doctor.code == HSMART_OK; i++) {
        doctor.jwks_where = own->jwks != NULL ? own->jwks : doctor.target.options.jku;
        doctor.have |= doctor.jwks_where != NULL ? DR_JWKS_KNOWN : 0U;
        probe(&doctor, &probes[i]);
    }
    enum hsmart_code code = doctor.code == HSMART_OK ? tell(&doctor, err) : doctor.code;
    doctor_clear(&doctor);
    return code;
}

const struct cli_verb verb_doctor = {
    .name = "doctor",
    .summary =
        "Looks at a client from the outside in, says what works and what does not, and the likeliest cause first.",
    .options_size = sizeof(struct doctor_options),
    .groups = {&doctor_group, &client_group, &cli_group_one_key, &cli_group_token, &client_group_network,
               &cli_group_general},
    .example = "  hsmart doctor --client epic\n"
               "  hsmart doctor --client epic --online\n",
    .run = run,
};
